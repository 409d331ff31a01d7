"""Comparators: how far a test agrees with a reference. Pure: annotations and arrays in, counts out.

``tracks``
    What of a file is compared: beats with their labels, spans of fibrillation and shutdown.
``pairing``
    Which beat of the test is which of the reference, by two stated rules.
``beats``
    Beat by beat: matrix of labels, sensitivity, positive predictivity, offsets; gross and average.
``runs``
    Run by run: couplets, short and long runs of ventricular beats.
``episodes``
    Episode by episode: atrial and ventricular fibrillation, by number and duration.
``rates``
    Rates against those of reference beats, and what their quality is worth.

Scores add up: ``a + b`` is the score of both records, and percentages follow from the sum.

>>> from ingest.wfdb_annotations import Annotation
>>> from processors.scoring.beats import score_beats
>>> from processors.scoring.tracks import beat_track
>>> reference = beat_track(Annotation(sample=360 * i, symbol="N") for i in range(1, 5))
>>> test = beat_track(Annotation(sample=360 * i + 4, symbol="N") for i in range(2, 6))
>>> score = score_beats(reference, test, fs_hz=360)
>>> score.n_matched, score.percentages()["qrs_se_percent"]
(3, 75.0)

Source: ANSI/AAMI EC57:2012, testing and reporting performance results of cardiac rhythm and ST
segment measurement algorithms.
"""
