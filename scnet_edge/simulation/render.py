"""Frames of a scene: the wall under a lamp, its cracks dark, the water, the lens, the sensor."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from scnet_edge.simulation.clip import Image, expose
from scnet_edge.simulation.cracks import truth_mask
from scnet_edge.simulation.optics import coverage_of, in_view, wall_of
from scnet_edge.simulation.pipe import fractal
from scnet_edge.simulation.scene import RideStep, Scene
from scnet_edge.simulation.walls import SECTION_MM, make_wall
from scnet_edge.types import Frame, Map, Mask

_WATERLINE = 0.86  # depth of the water's surface below the crown, as a share of the diameter
_SHUTTER_S = 0.0012  # that the flash lasts
_JPEG_QUALITY = 90  # of the camera's own compression
_LEVELS = 3  # of the wall, each at half the resolution of the one before


def render_frames(scene: Scene) -> Iterator[tuple[RideStep, Frame, Mask]]:
    """Yield each step of the ride with its frame and the pixels that are crack; bytes by the seed.

    A frame is (h, w, 3) uint8 BGR, its mask (h, w) bool.
    """
    wall_rng, water_rng, noise_rng = np.random.default_rng([scene.plan.seed, 7]).spawn(3)
    view = _View(scene, wall_rng)
    ripples = fractal(water_rng, (512, 512), (60, 25, 9))
    for step in scene.steps:
        along_mm = 1000 * step.chainage_m
        near = in_view(scene.camera, scene.defects, along_mm)
        coverage = coverage_of(scene.camera, near, along_mm=along_mm, roll_deg=step.roll_deg)
        seen = _crack(view.at(step), coverage)
        if scene.plan.mode == "forward":
            seen = _flood(seen, view, step, ripples)
        smear_px = 0.0
        if scene.plan.mode == "side":
            smear_px = 1000 * abs(step.speed_mps) * _SHUTTER_S / scene.camera.mm_per_px()
        frame = expose(seen, view.light, gain=1.0, smear_px=smear_px, rng=noise_rng)
        yield step, _compress(frame), truth_mask(coverage) & scene.believed


class _View:
    """The wall as the camera sees it; sections are made as the robot comes near them."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._scene, self._rng = scene, rng
        self._around_mm = math.pi * scene.plan.diameter_mm
        camera = scene.camera
        self.along_mm, self.around_mm, away_mm = wall_of(camera)
        fine = camera.mm_per_px() if camera.mode == "side" else 0.0022 * scene.plan.diameter_mm
        self._mm_per_px = max(fine, 0.1)
        self._band_mm = (0.0, self._around_mm)
        if camera.mode == "side":
            middle_mm = camera.look_clock_h / 12 * self._around_mm
            half_mm = 0.75 * scene.plan.size_hw[0] * fine + 0.03 * self._around_mm
            self._band_mm = (middle_mm - half_mm, middle_mm + half_mm)
        self._sections: dict[int, list[Image]] = {}
        self.light = _lamp(away_mm, np.isnan(self.along_mm))
        # How much wall a pixel covers decides which of the coarser walls it is looked up in.
        step_mm = np.abs(np.gradient(np.nan_to_num(self.along_mm, nan=1e4), axis=(0, 1)))
        covered = np.maximum(step_mm[0], step_mm[1]) / self._mm_per_px
        self._level = np.clip(np.log2(np.maximum(covered, 1)), 0, _LEVELS - 1).astype(np.float32)

    def at(self, step: RideStep) -> Image:
        """Return what the camera sees of the bare wall, (h, w, 3) linear light."""
        length_mm = SECTION_MM[self._scene.plan.material]
        along = np.nan_to_num(self.along_mm, nan=0.0) + 1000 * step.chainage_m
        around = np.nan_to_num(self.around_mm, nan=0.0) + step.roll_deg / 360 * self._around_mm
        number = np.floor(along / length_mm)
        seen = np.zeros((*along.shape, 3), np.float32)
        for section in np.unique(number).astype(int).tolist():
            here = number == section
            seen[here] = self._look(section, along - section * length_mm, around)[here]
        for old in [n for n in self._sections if n < number.min()]:
            del self._sections[old]
        return seen

    def depth(self, step: RideStep) -> Map:
        """Return how far below the crown each pixel's wall is, as a share of the diameter."""
        turn = np.nan_to_num(self.around_mm, nan=0.0) / self._around_mm + step.roll_deg / 360
        return np.asarray((1 - np.cos(2 * np.pi * turn)) / 2, np.float32)

    def _look(self, section: int, along_mm: Map, around_mm: Map) -> Image:
        looks = []
        for level, wall in enumerate(self._make(section)):
            px = 1 / self._mm_per_px / 2**level
            # One row of the other end above and below: the wall goes on over the seam.
            ring = np.concatenate([wall[-1:], wall, wall[:1]])
            x = along_mm * px
            y = (around_mm - self._band_mm[0]) % self._around_mm * px % wall.shape[0] + 1
            at = x.astype(np.float32), y.astype(np.float32)
            looks.append(cv2.remap(ring, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        seen = looks[-1]
        for level in reversed(range(_LEVELS - 1)):
            share = np.clip(self._level - level, 0, 1)[..., None]
            seen = looks[level] + share * (seen - looks[level])
        return np.asarray(seen, np.float32)

    def _make(self, section: int) -> list[Image]:
        if section not in self._sections:
            wall = make_wall(
                self._rng,
                self._scene.plan.material,
                around_mm=self._around_mm,
                band_mm=self._band_mm,
                mm_per_px=self._mm_per_px,
                waterline=_WATERLINE,
            )
            levels = [wall]
            for _ in range(_LEVELS - 1):
                levels.append(_halve(levels[-1]))
            self._sections[section] = levels
        return self._sections[section]


def _halve(wall: Image) -> Image:
    half = cv2.resize(wall, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.float32)


def _lamp(away_mm: Map, unseen: Map) -> Map:
    """Return the light of the lamps beside the lens: less with the square of the distance."""
    near_mm = float(np.nanpercentile(away_mm, 12))
    light = (near_mm / np.maximum(np.nan_to_num(away_mm, nan=1e6), 0.6 * near_mm)) ** 1.6
    h, w = away_mm.shape
    x = (np.arange(w, dtype=np.float32) - w / 2) / (w / 2)
    y = (np.arange(h, dtype=np.float32) - h / 2) / (h / 2)
    vignette = (1 + 0.35 * (x[None, :] ** 2 + y[:, None] ** 2)) ** -1.2
    return np.asarray(np.where(unseen, 0, 1.25 * light * vignette), np.float32)


def _crack(seen: Image, coverage: Map) -> Image:
    """Return the wall with its cracks open: dark, with what has leached out beside them."""
    lips = cv2.GaussianBlur(coverage, (0, 0), 3.5)
    pale = seen + 0.22 * np.clip(lips, 0, 0.6)[..., None] * (0.6 - seen)
    return np.asarray(pale * (1 - 0.92 * coverage)[..., None], np.float32)


def _flood(seen: Image, view: _View, step: RideStep, ripples: Map) -> Image:
    """Return the view with water in the invert: dark, glinting, with the wall dim below it."""
    depth = view.depth(step)
    x = (view.along_mm + 1000 * step.chainage_m) * 0.8 % 512
    y = (depth * 900 + 60 * step.time_s) % 512
    at = np.nan_to_num(x, nan=0).astype(np.float32), y.astype(np.float32)
    wave = cv2.remap(ripples, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    wet = np.clip((depth - _WATERLINE - 0.004 * wave) / 0.008, 0, 1)[..., None]
    glint = np.clip(wave - 1.7, 0, 1)[..., None] * 0.5
    water = 0.35 * seen * np.array([0.9, 1.0, 0.95], np.float32) + 0.02 + glint
    return np.asarray(seen + wet * (water - seen), np.float32)


def _compress(frame: Frame) -> Frame:
    ok, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert ok
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
