"""What was recorded and derived, in the formats of other people's programs. Pure: bytes out.

Signals, for researchers (docs/exports.md):

``tracks``
    From the blocks of a subject to one signal per channel, in one piece, with its time.
``marks``
    Beats and labels by time, and what they become where samples are counted.
``wfdb``
    WFDB: header, signal file and annotations.
``edf``
    EDF+ and BDF+: a file. `edf_cut` divides its time into data records, `edf_header` says what
    they are, in numbers of eight characters (`edf_fields`).
``files``
    Writes what the others have encoded: all of it or nothing.

Values, for clinics (docs/exports-clinical.md): ``fhir``, ``oru``, and ``deidentify``, which takes
away whose data they are.
"""
