"""A linear classifier of the objects of one video, fitted to its annotated frames and its latest.

Features are learnt to tell any token from any other. What tells *these* objects from *this*
background is known only once a mask is given, and a ridge regression finds it in milliseconds. Its
scores stand beside the features of a token, so that two tokens are alike if they look alike and
the classifier takes them for the same object: objects that move away from where they were, and
those whose surroundings look like them, are kept.

Objects turn, come nearer and pass from light to shade, so that after a while the annotated frame
shows them no more as they are. So the frames labelled since are examples too, the newest most.

Source: online target models of supervised video segmentation, such as Robinson et al., "Learning
Fast and Robust Target Models for Video Object Segmentation", CVPR 2020, whose model is a small
network; here it is linear, and is one more channel of similarity instead of the input of a decoder.
Examples from the video itself: Voigtlaender and Leibe, "Online Adaptation of Convolutional Neural
Networks for Video Object Segmentation", BMVC 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

RIDGE = 1e-4  # of squared weights, where the mean squared error of scores counts 1
LEAST = 1e-3  # added to scores: a token that no object claims still has a direction


@dataclass(frozen=True)
class Examples:
    """What a ridge regression needs to know of labelled tokens: their weighted moments.

    Attributes:
        inputs: (C + 1, C + 1) float, of the features and a constant 1 with one another.
        labels: (C + 1, K + 1) float, of these with the labels; background first.
    """

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor) -> Examples:
        """Take tokens, weighted as `token_weights` says.

        Args:
            features: (N, C) of length one.
            labels: (N, K + 1) soft labels. Tokens whose labels sum to zero are left out.
        """
        inputs, weight = _with_one(features), token_weights(labels)
        return cls(inputs.T @ (weight * inputs), inputs.T @ (weight * labels))

    def mixed(self, others: Examples, share: float) -> Examples:
        """Return examples of which ``others`` are this ``share``."""
        return Examples(
            torch.lerp(self.inputs, others.inputs, share),
            torch.lerp(self.labels, others.labels, share),
        )


@dataclass(frozen=True)
class ObjectClassifier:
    """Scores of the objects as a linear function of the features of a token.

    Attributes:
        weights: (C + 1, K + 1) float, the last row the offsets; background first.
    """

    weights: Tensor

    @classmethod
    def fit(cls, examples: Examples, ridge: float = RIDGE) -> ObjectClassifier:
        """Regress labels on features, with this weight of squared weights."""
        # Few numbers are left here: a processor solves them in double precision on any machine.
        inputs, labels = examples.inputs.cpu().double(), examples.labels.cpu().double()
        damped = inputs + ridge * torch.eye(len(inputs), dtype=torch.float64)
        return cls(torch.linalg.solve(damped, labels).to(examples.labels))

    def foretell(self, features: Tensor) -> Tensor:
        """(N, C) features of length one -> (N, K + 1) labels as the regression has them."""
        return _with_one(features) @ self.weights

    def scores(self, features: Tensor, factors: Tensor | None = None) -> Tensor:
        """Return (N, K + 1) scores of the classes, of length one.

        Args:
            features: (N, C) of length one.
            factors: (N, K + 1), what scores are multiplied by.
        """
        scores = self.foretell(features).clamp(0, 1) + LEAST
        return functional.normalize(scores if factors is None else scores * factors, dim=1)


def token_weights(labels: Tensor) -> Tensor:
    """Return (N, 1) weights of tokens, of sum one: every class has the square root of its tokens.

    Small objects would be given up for the background if each token counted alike, and outvote it
    if each class did.
    """
    tokens = labels.sum(0).clamp(min=1)  # (K + 1,) how many each class has
    weights = (labels / tokens.sqrt()).sum(1, keepdim=True)
    return weights / weights.sum()


def beside(features: Tensor, scores: Tensor, weight: float) -> Tensor:
    """Features and scores side by side, (N, C + K + 1 and zeros beyond) of length one.

    Products of two rows are ``(product of features + weight * product of scores) / (1 + weight)``.
    Zeros make a multiple of 32 of the channels: compiled loops are twice as fast without a rest.
    """
    learnt = features.shape[1]
    used = learnt + scores.shape[1]
    joined = features.new_zeros(len(features), used + -used % 32)
    torch.mul(features, (1 / (1 + weight)) ** 0.5, out=joined[:, :learnt])
    torch.mul(scores, (weight / (1 + weight)) ** 0.5, out=joined[:, learnt:used])
    return joined


def _with_one(features: Tensor) -> Tensor:
    return functional.pad(features, (0, 1), value=1.0)
