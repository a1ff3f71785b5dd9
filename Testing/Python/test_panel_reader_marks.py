"""Lesions at the reader study panel: marked with keys and clicks, regions proposed and overruled, or counted."""

from __future__ import annotations

import numpy as np
import pytest
from reader_support import QUESTIONS
from reading_support import NEW_LESIONS, answered, begin, move_cursor, panel, press

FIXTURES = (begin, panel)  # found by pytest under these names
LESION_QUESTION = {"lesions": QUESTIONS["lesions"]}


def test_marks_get_the_region_of_their_place_and_the_reader_overrules_it(begin, slicer_desktop, slicer_scene):
    reader = begin(questions=LESION_QUESTION, subjects=1)
    widget = reader.panel.readingPanel.form.widgets["lesions"]
    regions = reader.panel.logic._display._regions
    for i, proposed in ((2, "juxtacortical"), (7, "periventricular"), (12, "infratentorial")):
        move_cursor(regions.grid.index_to_ras(np.array([i, 5.0, 5.0])))
        press("M")
        assert widget.marks.all()[-1]["region"] == proposed
    move_cursor(None)
    press("1")
    assert len(widget.marks.all()) == 3, "the mouse is in no slice view"
    node = slicer_scene.mrmlScene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.AddControlPoint(*regions.grid.index_to_ras(np.array([17.0, 5.0, 5.0])))
    assert widget.marks.all()[-1]["region"] == "subcortical", "a click of the mouse gets its region as well"
    node.AddControlPoint(500, 500, 500)
    slicer_desktop.process_events()
    assert widget.marks.all()[-1]["region"] == "" and "region of mark 5" in reader.ui.answerHintLabel.text
    widget.table.cellWidget(4, 0).setCurrentIndex(4)
    widget.table.cellWidget(0, 0).setCurrentIndex(3)
    assert reader.ui.nextButton.enabled
    node.SetNthControlPointPosition(1, 1.0, 2.0, 3.0)
    widget.table.setCurrentCell(2, 0)
    press("Backspace")
    reader.ui.nextButton.click()
    marks = answered(reader.study, "R1")[0]["answers"]["lesions"]["marks"]
    found = ["infratentorial", "periventricular", "subcortical", "subcortical"]
    assert [mark["region"] for mark in marks] == found and marks[1]["ras"] == [1.0, 2.0, 3.0]
    assert node.GetScene() is None


def test_a_mark_that_is_selected_brings_the_views_to_it(begin, slicer_scene):
    reader = begin(questions=LESION_QUESTION, subjects=1)
    widget = reader.panel.readingPanel.form.widgets["lesions"]
    for place in ((3.0, 4.0, 5.0), (6.0, 7.0, 12.0)):
        move_cursor(place)
        press("2")
    widget.table.setCurrentCell(1, 0)
    view = slicer_scene.app.layoutManager().sliceWidget("SynthMRIReading1").mrmlSliceNode()
    assert abs(view.GetSliceOffset()) == pytest.approx(12.0, abs=1.0)


def test_no_lesion_has_to_be_confirmed_and_numbers_may_stand_for_marks(begin, slicer_desktop):
    reader = begin(questions=LESION_QUESTION, subjects=1)
    widget = reader.panel.readingPanel.form.widgets["lesions"]
    assert "There is none" in reader.ui.answerHintLabel.text
    widget.none_button.click()
    slicer_desktop.process_events()
    reader.ui.nextButton.click()
    widget = reader.panel.readingPanel.form.widgets["lesions"]
    widget.by_number.click()
    assert "number of lesions: juxtacortical" in reader.ui.answerHintLabel.text
    for number, field in enumerate(widget.counts.values()):
        field.setValue(number)
    reader.ui.nextButton.click()
    first, second = (record["answers"]["lesions"] for record in answered(reader.study, "R1"))
    counts = {"juxtacortical": 0, "periventricular": 1, "infratentorial": 2, "subcortical": 3}
    assert first == {"marks": []} and second == {"counts": counts}


def test_placing_with_the_mouse_ends_with_the_case(begin, slicer_scene):
    reader = begin(questions=LESION_QUESTION, subjects=2)
    widget = reader.panel.readingPanel.form.widgets["lesions"]
    interaction = slicer_scene.app.applicationLogic().GetInteractionNode()
    widget.place_button.click()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    widget.none_button.click()
    reader.ui.nextButton.click()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform


def test_one_question_at_a_time_gets_the_clicks_and_escape_ends_it(begin, slicer_scene):
    reader = begin(questions={**LESION_QUESTION, "new": NEW_LESIONS}, subjects=1)
    first, second = (reader.panel.readingPanel.form.widgets[name] for name in ("lesions", "new"))
    interaction = slicer_scene.app.applicationLogic().GetInteractionNode()
    selection = slicer_scene.app.applicationLogic().GetSelectionNode()
    first.place_button.click()
    second.place_button.click()
    assert second.place_button.checked and not first.place_button.checked
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert selection.GetActivePlaceNodeID() == second.marks.node.GetID()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    assert not second.place_button.checked
