import pytest
import torch

from sidestream.adapter.lllite import LLLiteLinear
from sidestream.adapter.temporal import attach, randomise
from sidestream.config import BATCH_SIZES, SECTIONS, Size
from sidestream.errors import ModelError
from sidestream.seams import TemporalAdapter

SIZE = Size(64, 32)
SIZES = (SIZE, Size(96, 96), Size(256, 96))


def rows(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)


def ready(unet, size=SIZE, sections=SECTIONS, count=4):
    """A random adapter of `count` rows that a batch of so many slots reads in full."""
    adapter = attach(unet, sections, rows=count)
    randomise(adapter, seed=1)
    adapter.resize(size)
    adapter.select(torch.arange(count), torch.ones(count))
    return adapter


def addresses(unet):
    modules = [module for module in unet.modules() if isinstance(module, LLLiteLinear)]
    return [
        tensor.data_ptr()
        for m in modules
        for tensor in (m.level.bank_SRHWD, m.slots.rows, m.slots.multipliers_B11)
    ]


def test_it_is_a_temporal_adapter(unet):
    adapter: TemporalAdapter = attach(unet, SECTIONS, rows=1)
    adapter.resize(SIZE)


@pytest.mark.parametrize(
    ("sections", "tensors", "numbers"),
    [(("down_blocks",), 444, 4_532_256), (SECTIONS, 1272, 13_265_472)],
)
def test_dreamlite_gets_the_released_number_of_weights(dreamlite, sections, tensors, numbers):
    weights = attach(dreamlite, sections, rows=1).weights()
    assert len(weights) == tensors
    assert sum(weight.numel() for weight in weights.values()) == numbers


def test_a_new_adapter_changes_nothing(unet, run, pictures):
    before = run(unet, SIZE, 2)
    adapter = attach(unet, SECTIONS, rows=2)
    adapter.resize(SIZE)
    adapter.write(rows(0, 1), pictures(SIZE, 2))
    adapter.select(rows(0, 1), torch.ones(2))
    assert torch.equal(run(unet, SIZE, 2), before)


def test_a_multiplier_of_zero_changes_nothing(unet, run, pictures):
    before = run(unet, SIZE, 2)
    adapter = ready(unet)
    adapter.write(rows(0, 1), pictures(SIZE, 2))
    adapter.select(rows(0, 1), torch.zeros(2))
    assert torch.equal(run(unet, SIZE, 2), before)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_changed_picture_changes_the_output(unet, run, pictures, section):
    adapter = ready(unet, sections=[section])
    adapter.write(rows(0), pictures(SIZE, 1))
    before = run(unet, SIZE)
    adapter.write(rows(0), pictures(SIZE, 1, seed=1))
    assert (run(unet, SIZE) - before).norm() > 0.03 * before.norm()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_running_form_equals_the_trained_form(unet, run, pictures, size):
    adapter = ready(unet, size)
    multipliers = torch.tensor([1.0, 0.3])
    adapter.write(rows(2, 0), pictures(size, 2))
    adapter.select(rows(2, 0), multipliers)
    running = run(unet, size, 2)
    with adapter.trained_form(pictures(size, 2), multipliers.view(-1, 1, 1)):
        trained = run(unet, size, 2)
    assert (running - trained).abs().max() <= 1e-4 * trained.abs().max()


def both_forms_at_each_site(unet, pictures, size):
    """What every hooked Linear makes of the same random tokens, running and trained."""
    adapter = ready(unet, size, count=2)
    adapter.write(rows(0, 1), pictures(size, 2))
    inputs = {}
    for site in adapter.sites:
        tokens = 2 * size.width * size.height // site.stride**2
        generator = torch.Generator().manual_seed(tokens)
        x_BNC = torch.randn(2, tokens, site.channels, generator=generator)
        inputs[site.name] = x_BNC.to(unet.dtype)
    running = [unet.get_submodule(name)(x_BNC).float() for name, x_BNC in inputs.items()]
    with adapter.trained_form(pictures(size, 2)):
        trained = [unet.get_submodule(name)(x_BNC).float() for name, x_BNC in inputs.items()]
    return zip(running, trained, strict=True)


def test_both_forms_agree_at_each_site(unet, pictures):
    for running, trained in both_forms_at_each_site(unet, pictures, Size(96, 64)):
        assert (running - trained).abs().max() <= 1e-4 * trained.abs().max()


def test_both_forms_agree_at_each_site_in_bfloat16(unet, pictures):
    # Not at the output: there the U-Net's own rounding costs more than 1e-4 with no adapter at all.
    for running, trained in both_forms_at_each_site(unet.bfloat16(), pictures, Size(96, 64)):
        assert torch.cosine_similarity(running.flatten(), trained.flatten(), dim=0) >= 0.9999


def test_what_is_trained_stays_in_float32(unet):
    adapter = attach(unet.bfloat16(), SECTIONS, rows=1)
    unet.half()
    assert {weight.dtype for weight in adapter.weights().values()} == {torch.float32}


def test_the_trained_form_gives_gradients_to_every_weight(unet, run, pictures):
    adapter = ready(unet)
    with adapter.trained_form(pictures(SIZE, 1)):
        run(unet, SIZE).square().mean().backward()
    assert all(weight.grad is not None for weight in adapter.weights().values())
    assert all(parameter.grad is None for parameter in unet.parameters())


def test_changed_weights_run_after_fold(unet, run, pictures):
    adapter = ready(unet)
    randomise(adapter, seed=2)
    adapter.write(rows(0), pictures(SIZE, 1))
    with adapter.trained_form(pictures(SIZE, 1)):
        trained = run(unet, SIZE)
    torch.testing.assert_close(run(unet, SIZE), trained, rtol=1e-4, atol=1e-4)


def test_slots_do_not_see_each_other(unet, run, pictures):
    adapter = ready(unet)
    adapter.write(rows(0, 1), pictures(SIZE, 2))
    apart = run(unet, SIZE, 2)
    adapter.write(rows(1), pictures(SIZE, 1, seed=1))
    changed = run(unet, SIZE, 2)
    adapter.write(rows(1), pictures(SIZE, 2)[1:])
    adapter.select(rows(1, 0), torch.ones(2))
    swapped = run(unet, SIZE, 2)
    assert torch.equal(changed[0], apart[0])
    for different in (changed[1] - apart[1], swapped[0] - apart[0], swapped[1] - apart[1]):
        assert different.norm() > 0.03 * apart[0].norm()


def test_one_row_serves_all_slots_that_read_it(unet, run, pictures):
    adapter = ready(unet)
    adapter.write(rows(3), pictures(SIZE, 1))
    results = []
    for batch in BATCH_SIZES:
        adapter.select(torch.full((batch,), 3), torch.ones(batch))
        results.append(run(unet, SIZE, batch)[:1])
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-4, atol=1e-4)


def test_writing_and_selecting_move_no_buffer(unet, pictures):
    adapter = ready(unet)
    before = addresses(unet)
    adapter.write(rows(2, 1), pictures(SIZE, 2))
    adapter.select(rows(1), torch.tensor([0.5]))
    assert addresses(unet) == before


def test_going_back_to_a_size_finds_its_rows_where_they_were(unet, run, pictures):
    adapter = ready(unet)
    adapter.write(rows(0), pictures(SIZE, 1))
    before, result = addresses(unet), run(unet, SIZE)
    adapter.resize(Size(32, 64))
    assert addresses(unet) != before
    adapter.resize(SIZE)
    assert addresses(unet) == before
    assert torch.equal(run(unet, SIZE), result)


def test_a_bank_made_in_inference_mode_can_be_written_outside(unet, pictures):
    adapter = attach(unet, SECTIONS, rows=1)
    with torch.inference_mode():
        adapter.resize(SIZE)
    adapter.write(rows(0), pictures(SIZE, 1))


def test_a_picture_of_bad_numbers_leaves_a_finite_row(unet, run):
    adapter = ready(unet)
    for bad in (torch.nan, torch.inf):
        adapter.write(rows(0), torch.full((1, 3, SIZE.height, SIZE.width), bad))
        assert run(unet, SIZE).isfinite().all()


def test_new_values_do_not_recompile(unet, run, pictures):
    adapter = ready(unet)
    compiled = torch.compile(unet, fullgraph=True, backend="eager", dynamic=False)
    with torch.no_grad():
        before = run(compiled, SIZE, 2)
        with torch.compiler.set_stance("fail_on_recompile"):
            adapter.write(rows(0, 2), pictures(SIZE, 2))
            adapter.select(rows(2, 0), torch.tensor([0.9, 0.1]))
            after = run(compiled, SIZE, 2)
        assert torch.equal(after, run(unet, SIZE, 2))
    assert not torch.equal(after, before)
    torch.compiler.reset()


def test_detaching_puts_the_very_same_linears_back(unet, run):
    before, result = dict(unet.named_modules()), run(unet, SIZE)
    adapter = ready(unet)
    assert not torch.equal(run(unet, SIZE), result)
    adapter.detach()
    after = dict(unet.named_modules())
    assert after.keys() == before.keys()
    assert all(after[name] is module for name, module in before.items())
    assert torch.equal(run(unet, SIZE), result)


def test_the_unet_keeps_its_own_state_dict_and_parameters(unet):
    keys, parameters = list(unet.state_dict()), dict(unet.named_parameters())
    adapter = ready(unet)
    assert list(unet.state_dict()) == keys
    assert all(parameters[name] is value for name, value in unet.named_parameters())
    unet.load_state_dict({name: torch.zeros_like(v) for name, v in unet.state_dict().items()})
    adapter.detach()
    assert all(value.count_nonzero() == 0 for value in unet.parameters())


def test_a_detached_adapter_may_be_trained_and_leaves_the_linears_as_they_were(unet, run, pictures):
    adapter = attach(unet, SECTIONS, rows=1)
    randomise(adapter, seed=0)
    with adapter.trained_form(pictures(SIZE, 1)):
        wanted = run(unet, SIZE)
    adapter.detach()
    plain = run(unet, SIZE)
    with adapter.trained_form(pictures(SIZE, 1)):
        assert torch.equal(run(unet, SIZE), wanted)
    assert torch.equal(run(unet, SIZE), plain)


def test_a_second_adapter_is_refused(unet):
    attach(unet, SECTIONS, rows=1)
    with pytest.raises(ModelError, match="already has a temporal adapter"):
        attach(unet, SECTIONS, rows=1)


def test_a_section_without_sites_is_refused(unet):
    with pytest.raises(ModelError, match="no attention to hook"):
        attach(unet, ["conv_in"], rows=1)
