"""The numbers that the R-peak detector weighs with.

The odds were found by a logistic regression on the humps of recordings, clean and with noise added,
then adjusted by the beats that came out of them; ``tests/benchmarks/fit_r_peaks.py`` adjusts them
again, and says how they do on recordings left out.
"""

from __future__ import annotations

from typing import Final

WEIGHTS: Final[dict[str, float]] = {
    # What is known of hearts and electrodes.
    # so far ahead another hump competes with the one to be decided: T waves come no later
    "ahead_s": 0.36,
    # so long without a beat, and the levels begin to sink
    "silence_s": 3.0,
    # for so long
    "forgetting_s": 4.5,
    # by this factor a second: in all to a hundredth, for lower lies noise
    "keep_per_s": 0.36,
    # T waves come within this time
    "soon_s": 0.4,
    # or within this share of the interval: in a fast rhythm the next beat comes as soon
    "soon_rr": 0.9,
    # a hump this far from both beats around it may be a missed beat, and is no proof of
    # noise: else small ectopic beats that were missed raise the level and go on being missed
    "room_for_a_beat_s": 0.35,
    # a lead with less of the other's energy is taken as off while nothing is learned
    "dead_share": 0.01,
    # an artefact counts as no more than four times the energy of a beat
    "cap": 4.0,
    # the R peak of a known shape is looked for so near to where the shape has it
    "trace_search_s": 0.025,
    # Levels: of the last eight beats, and of what was highest between each two.
    # of the energy of the highest hump while learning: the first guess of a beat's
    "first_share": 0.49,
    # and of that, the first guess of noise
    "first_noise_share": 0.04,
    # low, for small ectopic beats count, and must not raise the level
    "beat_rank": 0.184,
    # of the median, else two false beats among eight would let in more of their kind
    "beat_floor": 0.16,
    "noise_rank": 0.47,
    "deflection_rank": 0.4,
    "spread_rank": 0.6,
    # least of a beat's energy that its noise is taken for
    "noise_min": 0.0009,
    # and most
    "noise_max": 0.787,
    # while noise is half guessed, an interval without a hump lowers it; later that were
    # wrong, for in deep noise humps are taken for beats, and nothing is left to be passed over
    "quiet_share": 0.7,
    "even_share": 0.01,
    # channels weigh as the inverse of their noise, and the more the further beats stand out
    "contrast_power": 0.351,
    # R peaks are looked for in the second lead once beats in the first hardly stand out,
    "lead_unclear": 0.5,
    # and in the second stand twice as high; in the first again when that is the clearer
    "lead_advantage": 0.7,
    # below this depth levels and rhythm are learned from beats alone
    "sure": 1.89,
    # whose margin is as wide as this times the depth that is missing
    "sure_depth": 0.57,
    # Shapes of beats.
    # in deeper noise than this, beats are looked for by their shape, not only by energy
    "trace_depth": 2.15,
    # so like a beat a place must be
    "trace_like": 0.292,
    # share of a shape's energy by which any two complexes differ: breathing, noise
    "shape_loose": 0.134,
    # less like all known shapes than this is another shape
    "shape_new": 0.294,
    "shape_blend": 0.0319,
    "shape_blend_other": 0.3,
    "shape_blend_min": 0.0391,
    # between these depths shapes are learned the slower, the noisier:
    "shape_depths_0": 0.403,
    # what noise taught would make more noise pass
    "shape_depths_1": 1.11,
    # a shape that few of the last thirty beats had makes room for another
    "shape_stale": 0.1,
    "shape_use_share": 0.03,
    # so like a beat that it may be one: no proof of noise
    "alike": 1.5,
    # so like a beat that it is one, however soon it comes: no T wave is; so rates of
    # flutter and of infants are not counted by half
    "alike_surely": 2.2,
    # and from so much less on it is the more doubtful
    "alike_share": 0.8,
    # Bounds and bends of what the odds are made of.
    "depth_max": 3.5,
    "above_min": -2.5,
    "above_max": 2.0,
    "least_min": -3.0,
    "like_min": -0.3,
    "like_max": 3.0,
    "like_unknown": 0.6,
    "like_knee": 0.5,
    "too_high": 0.4,
    "deep": 0.518,
    # a complex as high as the others can be so wide that its bands hold little;
    "wide": 0.65,
    # in a clear signal it counts as at least this much less than its height says
    "wide_depth": 2.5,
    # a beat shows in both leads, noise often in one: so much at most
    "apart_max": 2.5,
    # times so much depth of the lead that shows less
    "apart_depth": 1.5,
    "early": 0.85,
    "overdue": 1.1,
    "overdue_max": 1.5,
    "spread_min": 0.0529,
    "regular": 0.07,
    # in a clear signal a beat decided on binds what comes after; in noise it may be false
    "commit": 0.646,
    # The odds that a hump is a beat: see ``weigh`` and ``rhythm_odds``.
    "odds_apart": 0.4,
    "odds": -0.45,
    "odds_above": 2.42,
    "odds_depth": 1.8,
    "odds_above_depth": -1.41,
    "odds_least": 0.431,
    "odds_least_depth": 1.05,
    "odds_like": 1.95,
    "odds_like_depth": -0.0575,
    "odds_unlike": 0.27,
    "odds_too_high": -2.26,
    "odds_noisy": -0.013,
    "odds_deep": 2.04,
    "odds_tall": -1.08,
    "odds_tall_depth": 0.809,
    "odds_early": -1.99,
    "odds_early_depth": -0.608,
    "odds_overdue": 0.914,
    "odds_overdue_depth": 0.326,
    "odds_soon": -4.58,
    "odds_soon_depth": -8.0,
    "odds_rhythm": 2.44,
}
