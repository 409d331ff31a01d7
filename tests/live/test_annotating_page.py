"""A mark in a real browser, onto a real Kafka: frozen, measured, said, and seen by others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from deploy.annotation_places import TopicPlace
from ingest.kafka import create_topics
from ingest.recorded_annotations import produce_annotations
from ingest.settings import KafkaSettings
from processors.sinks.live import LiveHub
from processors.sinks.live.annotating import AnnotationDesk
from tests.live.browsing import chromium
from tests.live.entrance import House
from tests.live.test_sign_in_page import WAIT_MS, expect_traces, serving, shoot, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.async_api import Page

    from deploy.local.kafka import KafkaBroker
    from ingest.annotation import SubjectAnnotation
    from tests.live.conftest import Feed

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def sign_in(page: Page, house: House, name: str, url: str) -> None:
    page.set_default_timeout(WAIT_MS)
    await page.goto(url)
    await page.get_by_label("token").fill(house.tokens[name])
    await page.get_by_role("button", name="Sign in").click()


async def test_what_is_marked_on_a_frozen_picture_is_on_the_topic_and_on_other_pages(
    hub: LiveHub,
    make_feed: Callable[..., Feed],
    kafka_broker: KafkaBroker,
    unique_name: str,
    tmp_path: Path,
) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(kafka)
    house = House(tmp_path)
    for name in ("anna", "bo"):
        house.add(name, unique_name)
    house.annotators = {"anna"}

    async def send(made: SubjectAnnotation) -> None:
        await produce_annotations(kafka, [made])

    feed = asyncio.create_task(make_feed(hub, subject_id=unique_name).run())
    async with chromium() as browser, serving(hub, 0, house.entrance(), AnnotationDesk(send)) as at:
        url = f"{at}?subject={unique_name}"
        page = await (await browser.new_context(viewport={"width": 1280, "height": 800})).new_page()
        await sign_in(page, house, "anna", url)
        await expect_traces(page, unique_name)

        await page.get_by_role("button", name="Freeze").click()
        label = page.get_by_role("button", name="Label")
        await label.click()
        marks = await page.evaluate("window.chevet.sweep.frozen.marks")
        await label.click()
        await page.get_by_role("button", name="movement").click()
        await page.get_by_label("Of which signal").select_option("0")
        await shoot(page, "label-said")
        await page.get_by_role("button", name="Keep").click()
        await until(page, "window.chevet.sweep.labels.length === 1")
        await expect(page.locator("dialog.annotate")).to_have_count(0)
        await shoot(page, "label-kept")

        (made,) = await asyncio.to_thread(TopicPlace(kafka).known, unique_name)
        assert (made.author, made.text, made.annotator) == ("anna", "movement", "atr")
        assert (made.device_id, made.channel) == ("chest-strap", "ecg")
        assert made.t_ns == pytest.approx(marks[0] * 1e6, abs=1_000)
        assert made.end_ns == pytest.approx(marks[1] * 1e6, abs=1_000)

        other = await (await browser.new_context()).new_page()
        await sign_in(other, house, "bo", url)
        await until(other, "window.chevet?.sweep?.labels?.length === 1")
        assert (await other.evaluate("window.chevet.sweep.labels"))[0]["author"] == "anna"
        await other.get_by_role("button", name="Freeze").click()
        await expect(other.get_by_role("button", name="Label")).to_be_hidden()
    feed.cancel()
    await asyncio.wait([feed])
