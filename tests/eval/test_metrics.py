"""Metrics against the formulas they stand for, written out again."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from sidestream.errors import ConfigError
from sidestream.eval import metrics
from sidestream.flow import dis

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8)
OTHERS = np.random.default_rng(1).integers(0, 256, (4, 48, 64, 3), np.uint8)


def textured(side: int, blur: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(2).integers(0, 256, (side, side, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), blur), None, 0, 255, cv2.NORM_MINMAX)


def translating(count: int = 4, side: int = 128) -> list[np.ndarray]:
    wide = textured(side + 64)
    return [wide[n : n + side, 3 * n : 3 * n + side].copy() for n in range(count)]


def still(*_: np.ndarray) -> np.ndarray:
    return np.zeros((48, 64, 2), np.float32)


def test_warping_error_is_the_papers_formula():
    errors = []
    for t in range(3):
        a, b = (cv2.cvtColor(FRAMES[i], cv2.COLOR_RGB2GRAY) for i in (t, t + 1))
        flow = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        y, x = np.mgrid[:48, :64].astype(np.float32)
        moved = cv2.remap(
            OTHERS[t + 1].astype(np.float32),
            x + flow[..., 0],
            y + flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        errors.append(np.abs(OTHERS[t].astype(np.float32) - moved).mean())
    assert metrics.warping_error(OTHERS, FRAMES) == pytest.approx(np.mean(errors), rel=1e-6)


def test_flow_of_a_whole_pixel_picks_the_pixel_it_leads_to():
    inputs, outputs = np.zeros((2, 2, 3, 3), np.uint8), np.zeros((2, 2, 3, 3), np.uint8)
    outputs[0] = [[[10] * 3, [20] * 3, [30] * 3]] * 2
    outputs[1] = [[[0] * 3, [10] * 3, [24] * 3]] * 2

    def right(a: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.array([1, 0], np.float32), (*a.shape, 2))

    # out_1 at x + 1, its border repeated, is 10, 24, 24.
    error = metrics.warping_error(outputs, inputs, flow=right)
    assert error == pytest.approx((0 + 4 + 6) / 3)


def test_a_clip_that_follows_its_own_flow_has_little_error_and_the_reverse_has_much():
    clip = translating()
    backward = metrics.warping_error(clip, clip, flow=lambda a, b: -dis(a, b))
    for flow in (metrics.farneback, dis):
        assert metrics.warping_error(clip, clip, flow=flow) < 0.2 * backward


def test_differences_are_means_of_absolute_levels():
    l1 = np.mean([np.abs(FRAMES[t].astype(int) - FRAMES[t + 1]).mean() for t in range(3)])
    assert metrics.consecutive_l1(FRAMES) == pytest.approx(l1)
    assert metrics.reference_l1(FRAMES, OTHERS) == pytest.approx(
        np.abs(FRAMES.astype(int) - OTHERS).mean()
    )


def test_consistency_is_the_ratio_of_the_two_and_zero_for_a_still():
    ratio = metrics.warping_error(OTHERS, FRAMES) / metrics.consecutive_l1(OTHERS)
    assert metrics.consistency_ratio(OTHERS, FRAMES) == pytest.approx(ratio)
    assert metrics.consistency_ratio([OTHERS[0]] * 3, FRAMES[:3]) == 0


def test_sobel_is_the_mixed_second_derivative():
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(float) for frame in FRAMES]
    padded = [np.pad(plane, 1, mode="reflect") for plane in grey]
    mixed = [p[2:, 2:] - p[2:, :-2] - p[:-2, 2:] + p[:-2, :-2] for p in padded]
    assert metrics.sobel(FRAMES) == pytest.approx(np.abs(mixed).mean(), rel=1e-5)


def test_a_ramp_has_a_gradient_but_no_mixed_derivative():
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    assert metrics.sobel([ramp]) == 0


def test_high_frequencies_are_the_papers_formula():
    y, x = np.mgrid[:48, :64]
    far = (y - 24) ** 2 + (x - 32) ** 2 > (48 // 4) ** 2
    spectra = [
        np.abs(np.fft.fftshift(np.fft.fft2(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY).astype(float))))
        for f in FRAMES
    ]
    assert metrics.hf_fft(FRAMES) == pytest.approx(np.mean([s[far].mean() for s in spectra]))


def test_the_paper_counts_210711_high_bins_at_512():
    assert metrics.high_bins(512, 512).sum() == 210_711


def test_psnr_is_the_mean_over_frames_and_bounded():
    mse = np.square(FRAMES[0].astype(float) - OTHERS[0]).mean()
    one = 10 * np.log10(255**2 / mse)
    assert metrics.psnr(FRAMES[:1], OTHERS[:1]) == pytest.approx(one)
    both = metrics.psnr(FRAMES[:2], [OTHERS[0], FRAMES[1]])
    assert both == pytest.approx((one + metrics.MOST_PSNR) / 2)


def test_blur_wins_the_warping_error_and_loses_the_sharpness_beside_it():
    inputs = translating()
    noise = np.random.default_rng(3).normal(0, 12, (4, 128, 128, 3))
    sharp = [(a + n).clip(0, 255).astype(np.uint8) for a, n in zip(inputs, noise, strict=True)]
    blurred = [cv2.GaussianBlur(frame, (0, 0), 2) for frame in sharp]
    before, after = metrics.measure(inputs, sharp), metrics.measure(inputs, blurred)
    for name in ("warping_error", "sobel", "hf_fft"):
        assert after[name] < 0.6 * before[name]


def test_one_pass_over_streams_gives_what_the_functions_give():
    def once(frames: np.ndarray) -> Iterator[np.ndarray]:
        yield from frames

    values = metrics.measure(once(FRAMES), once(OTHERS), flow=still)
    assert values == {
        "warping_error": metrics.warping_error(once(OTHERS), once(FRAMES), flow=still),
        "consecutive_l1": metrics.consecutive_l1(once(OTHERS)),
        "consistency_ratio": metrics.consistency_ratio(once(OTHERS), once(FRAMES), flow=still),
        "sobel": metrics.sobel(once(OTHERS)),
        "hf_fft": metrics.hf_fft(once(OTHERS)),
    }


def test_only_neighbours_are_held():
    known: list[weakref.ref[np.ndarray]] = []
    held: list[int] = []

    def stream() -> Iterator[np.ndarray]:
        for source in FRAMES.repeat(2, 0):
            frame = source.copy()
            known.append(weakref.ref(frame))
            held.append(sum(reference() is not None for reference in known))
            yield frame

    metrics.measure(stream(), FRAMES.repeat(2, 0), flow=still)
    assert max(held) <= 3


def test_one_frame_has_sharpness_but_no_consistency():
    assert metrics.measure(FRAMES[:1], OTHERS[:1]).keys() == {"sobel", "hf_fft"}
    with pytest.raises(ConfigError, match="two frames or more"):
        metrics.warping_error(OTHERS[:1], FRAMES[:1])


def test_clips_of_unequal_length_are_refused():
    with pytest.raises(ConfigError, match="one ends after 3 frames"):
        metrics.measure(FRAMES, OTHERS[:3], flow=still)


def test_pictures_of_unequal_size_are_refused():
    with pytest.raises(ConfigError, match="of one size"):
        metrics.psnr(FRAMES, OTHERS[:, :32])
