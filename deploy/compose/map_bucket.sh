#!/bin/sh
# Let InfluxQL find the bucket: a database of the same name, with the policy autogen as its default.
# A second run changes nothing. INFLUX_HOST, INFLUX_ORG and INFLUX_TOKEN are the influx program's.
set -eu

bucket_id=$(influx bucket list --name "$INFLUX_BUCKET" --hide-headers | cut -f 1)

if influx v1 dbrp create --db "$INFLUX_BUCKET" --rp autogen --default --bucket-id "$bucket_id"; then
    echo "map_bucket: mapped $INFLUX_BUCKET"
elif influx v1 dbrp list --db "$INFLUX_BUCKET" | grep -q "$bucket_id"; then
    echo "map_bucket: $INFLUX_BUCKET is mapped already"
else
    echo "map_bucket: InfluxQL cannot find the bucket $INFLUX_BUCKET ($bucket_id)" >&2
    exit 1
fi
