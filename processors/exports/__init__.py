"""What was recorded, in the formats of other people's programs. Pure: blocks in, bytes out.

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

What each format holds and loses is in docs/exports.md; what was lost of a given recording, each
encoder returns in words.
"""
