"""What every backbone promises: the grid for any size, alignment, honesty about translation."""

from __future__ import annotations

import pytest
import torch

import vos
from vos.backbones import families

SPECS = [
    "cmc-alexnet,stem=5,stem_stride=2,pool=2,hidden=32",
    "cmc-resnet18,views=L+ab+edges+blur",
    "cmc-resnet50,width=0.25",
    "cmc,encoder=unet-short-64;stride=4",
    "lab",
    "lab,stride=4,patch=8",
    "resnet18",
    "resnet18,stride=4",
    "resnet18,stride=4,layer=2",
    "resnet18,stride=16,layer=4",
    "resnet18,head=16,head_layers=2,output=head",
    "resnet50,layer=2",
    "compact",
    "compact,width=8,stride=4,head=16,output=head,colour=1",
    "dss-resnet18,width=8",
    "dss-resnet18,width=8,base=1.3,scales=2,interaction=2,stride=4,layer=4",
    "dss-resnet50,width=4,layer=2",
    "dss-v2-resnet18,width=8",
    "deformable-dss-resnet18,width=8",
    "deformable-resnet18,width=8,layer=2",
    "small",
    "dss-small,width=4",
    "dss-v2-small,width=4",
    "deformable-small,width=4",
    "deformable-dss-small,width=4,offsets=shared",
    "rotation-small-c8,width=8",
    "rotation-resnet18-c8",
    "rotation-resnet18-c8,layer=2,stride=4,features=5,output=regular",
    "rotation-unet-c1",
    "rotation-unet-c4,stride=1,levels=2,border=replicate",
    "rotation-unet-c8,features=13,border=circular",
    "rotation-unet-d4,stride=8,output=regular,features=3",
    "unet-short-64",
    "unet-short-128,stride=8",
    "unet-tall-64,stride=4",
    "unet-tall-128,stride=2",
    "unet-taller-64,stride=8",
    "unet-taller-128,stride=4,center=true",
    "timm:vit_tiny_patch16_224,pretrained=false",
    "timm:vit_tiny_patch16_224,pretrained=false,layer=3",
    "timm:resnet18,pretrained=false",
    "timm:convnext_atto,pretrained=false",
    "timm:swin_tiny_patch4_window7_224,pretrained=false,layer=1",
    "torchvision:resnet18,pretrained=false",
    "torchvision:mobilenet_v2,pretrained=false",
]


def test_every_family_is_under_test() -> None:
    tested = {spec.split(",")[0].split(":")[0] for spec in SPECS}
    assert set(families()) <= tested


@pytest.mark.parametrize("spec", SPECS)
def test_any_size_gives_the_ceil_grid(spec: str) -> None:
    backbone = vos.load(spec)
    assert not backbone.training
    for height, width in [(61, 83), (64, 96), (33, 17), (1, 5)]:
        images = torch.rand(2, 3, height, width)
        with torch.inference_mode():
            features = backbone(images)
        rows, columns = -(-height // backbone.stride), -(-width // backbone.stride)
        assert features.shape == (2, backbone.channels, rows, columns)
        assert features.dtype == torch.float32
        assert features.isfinite().all()
        assert backbone.grid(height, width) == (rows, columns)


@pytest.mark.parametrize(
    ("spec", "reach"),
    [
        ("lab", 8),
        ("lab,stride=4,patch=12", 12),
        ("resnet18", 90),
        ("resnet18,stride=4", 60),
        ("unet-short-64", 64),
        ("unet-short-64,stride=4", 64),
    ],
)
def test_shifting_the_image_shifts_the_tokens_inside_the_frame(spec: str, reach: int) -> None:
    backbone = vos.load(spec).double()
    assert backbone.equivariance.exact
    step = 16  # the group of the short UNet, and a multiple of every other stride here
    side = 2 * reach + 4 * step
    side += -side % step
    scene = torch.rand(1, 3, side + step, side + step, dtype=torch.double)
    with torch.inference_mode():
        here = backbone(scene[..., :side, :side])
        there = backbone(scene[..., step:, step:])
    tokens = step // backbone.stride
    margin = -(-reach // backbone.stride)
    inside = slice(margin, here.shape[-1] - margin - tokens)
    shifted = slice(margin + tokens, here.shape[-1] - margin)
    assert here[..., shifted, shifted].numel() > 0
    torch.testing.assert_close(there[..., inside, inside], here[..., shifted, shifted])


def test_running_mean_breaks_translation_and_says_so() -> None:
    assert not vos.load("unet-short-64,center=true").equivariance.exact


@pytest.mark.parametrize("spec", ["lab", "unet-short-64,stride=4", "resnet18"])
def test_a_token_answers_to_its_own_pixels(spec: str) -> None:
    backbone = vos.load(spec)
    images = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images.requires_grad_()
    row, column = 3, 4
    backbone(images)[:, :, row, column].square().sum().backward()
    weight = images.grad.abs().sum((0, 1))
    heaviest = [int(index) for index in divmod(int(weight.argmax()), 64)]
    # Zero padding on all sides centres a ResNet token at the first pixel of its cell.
    slack = 8 if spec == "resnet18" else 4 if spec.startswith("unet") else 0
    for pixel, token in zip(heaviest, (row, column), strict=True):
        low, high = token * backbone.stride, (token + 1) * backbone.stride
        assert low - slack <= pixel < high + slack


def test_lab_tokens_hold_their_patch_of_lab() -> None:
    import cv2
    import numpy as np

    image = np.random.default_rng(0).random((16, 24, 3), dtype=np.float32)
    expected = cv2.cvtColor(image, cv2.COLOR_RGB2Lab) / [50, 100, 100] - [1, 0, 0]
    tokens = vos.load("lab")(torch.from_numpy(image).permute(2, 0, 1)[None])
    patch = tokens[0, :, 1, 2].view(3, 8, 8).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(patch, expected[8:16, 16:24], atol=0.02)


def test_transformer_tokens_are_the_patch_tokens_of_timm() -> None:
    import timm

    name = "vit_tiny_patch16_224"
    backbone = vos.load(f"timm:{name},pretrained=false")
    reference = timm.create_model(name, pretrained=False).eval()
    reference.load_state_dict(backbone.model.state_dict(), strict=False)
    images = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        tokens = reference.forward_features((images - 0.5) / 0.5)[:, 1:]
        features = backbone(images)
    expected = tokens.transpose(1, 2).unflatten(2, (14, 14))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


def test_resnet_is_the_torchvision_network_without_late_strides() -> None:
    import torchvision

    backbone = vos.load("torchvision:resnet18,pretrained=false,stride=16")
    network = torchvision.models.resnet18()
    names = ("conv1", "bn1", "layer1", "layer2", "layer3")
    parts = [backbone.stem[0], backbone.stem[1], *backbone.stages]
    for name, part in zip(names, parts, strict=True):
        getattr(network, name).load_state_dict(part.state_dict())
    network.eval()
    images = torch.rand(1, 3, 64, 80)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.inference_mode():
        stem = network.maxpool(network.relu(network.bn1(network.conv1((images - mean) / std))))
        expected = network.layer3(network.layer2(network.layer1(stem)))
        torch.testing.assert_close(backbone(images), expected)


def test_stages_after_the_chosen_one_are_not_there() -> None:
    names = vos.load("resnet18,layer=2").state_dict()
    assert not any(name.startswith(("stages.2", "stages.3", "fc")) for name in names)


def test_head_and_layer_are_both_to_be_had() -> None:
    backbone = vos.load("resnet18,head=16,output=head")
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        head = backbone(images)
        backbone.set_output("layer")
        layer = backbone(images)
        assert (backbone.channels, layer.shape[1]) == (256, 256)
        torch.testing.assert_close(backbone.head(layer), head)


def test_pixel_centring_takes_the_mean_of_each_place_out() -> None:
    from vos.backbones.layers import PixelCentring

    layer = PixelCentring(2, size=6, momentum=1.0)
    features = torch.rand(5, 2, 6, 6)
    torch.testing.assert_close(layer(features).mean(0), torch.zeros(2, 6, 6))
    layer.eval()
    torch.testing.assert_close(layer(features), features - features.mean(0))
    assert layer(torch.rand(1, 2, 9, 13)).shape == (1, 2, 9, 13)
