// The types of Grafana's that our boards have to keep, each under a name of ours.
import type * as dashboard from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as stateTimeline from '@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/types.gen';
import type * as table from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as text from '@grafana/schema/dist/types/raw/composable/text/panelcfg/x/types.gen';
import type * as timeSeries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

export interface Board extends dashboard.Dashboard {}
export interface BoardPanel extends dashboard.Panel {}
export interface BoardVariable extends dashboard.VariableModel {}

export interface StatOptions extends stat.Options {}
export interface StateTimelineOptions extends stateTimeline.Options {}
export interface StateTimelineCustom extends stateTimeline.FieldConfig {}
export interface TableOptions extends table.Options {}
export interface TableCustom extends table.FieldConfig {}
export interface TextOptions extends text.Options {}
export interface TimeSeriesOptions extends timeSeries.Options {}
export interface TimeSeriesCustom extends timeSeries.FieldConfig {}
