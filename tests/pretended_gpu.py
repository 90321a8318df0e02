"""A GPU that is none: tensors that say they are on ``cuda:0`` and are computed by the CPU.

What would fail on a GPU fails here: an operation on tensors of both devices, a CPU generator for
the GPU's random numbers, a tensor handed to numpy. And what would be slow there is counted: kernels
that are launched, and how often the host waits for the device.
"""

import contextlib
from collections import Counter

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device("cuda", 0)
STAND_IN = torch.device("meta")  # what torch itself takes the GPU for: it has no CUDA here
aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXING = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
"""CUDA tensors may be indexed by tensors of the CPU."""
WAITING = {
    aten._linalg_check_errors.default,
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.masked_select.default,
    aten.nonzero.default,
}
ARITHMETIC = {aten.add, aten.sub, aten.rsub, aten.mul, aten.div, aten.pow}
ARITHMETIC |= {aten.lt, aten.le, aten.gt, aten.ge, aten.eq, aten.ne}
"""Numbers of the CPU, tensors without axes, may take part in these."""
FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray}


class OnGpu(torch.Tensor):
    """A tensor of the GPU; ``held`` has its numbers."""

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = is_meta = property(lambda self: False)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=STAND_IN,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise RuntimeError(f"{function} of a tensor of a GPU that is no longer pretended")

    def __repr__(self):
        return f"OnGpu({self.held})"

    def __array__(self, *args, **kwargs):
        raise TypeError("a tensor of cuda:0 has no numpy array; use Tensor.cpu() first")

    numpy = __array__

    def tolist(self):
        return self.cpu().tolist()


class PretendedGpu(TorchDispatchMode):
    """Runs what torch does to tensors of the GPU, and counts it.

    ``launches`` counts operations by name, those that only look at a tensor another way among them;
    ``waits`` what makes the host wait until the device has done all that it was given: a value read
    back, a shape that depends on values, a copy from memory that is not pinned.
    """

    def __init__(self):
        super().__init__()
        self.launches, self.waits = Counter(), Counter()

    def clear(self):
        """Count from here on."""
        self.launches.clear()
        self.waits.clear()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [value for value in _list_values(args) if isinstance(value, torch.Tensor)]
        here = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
        there = [tensor for tensor in tensors if not isinstance(tensor, OnGpu)]
        if function is aten.copy_.default:
            stays_here = isinstance(args[0], OnGpu)
        else:
            stays_here = kwargs.get("device", STAND_IN if here else None) == STAND_IN
        if here or stays_here:
            _check(function, args, here, there, kwargs.get("generator"))
            self.launches[str(function)] += 1
            reason = _find_wait(function, args, there, stays_here)
            if reason:
                self.waits[reason] += 1
        args = _change_values(_take_down, args)
        kwargs = {name: _take_down(value) for name, value in kwargs.items()}
        changed_in_place = {id(tensor.held): tensor for tensor in here}

        def put_back(value):
            if id(value) in changed_in_place:
                return changed_in_place[id(value)]
            return OnGpu(value) if stays_here and isinstance(value, torch.Tensor) else value

        return _change_values(put_back, function(*args, **kwargs))


def _list_values(things):
    """Give the values of a tuple of values and of lists of them."""
    for thing in things:
        if isinstance(thing, list | tuple):
            yield from thing
        else:
            yield thing


def _change_values(change, thing):
    """Return a value, or a list or tuple of such, changed."""
    if isinstance(thing, list | tuple):
        return type(thing)([_change_values(change, value) for value in thing])
    return change(thing)


def _check(function, args, here, there, generator):
    """Raise what CUDA would."""
    if function in INDEXING:
        if not isinstance(args[0], OnGpu):
            raise RuntimeError("a tensor of the CPU is indexed by one of cuda:0")
    elif (
        here
        and function not in COPIES
        and any(tensor.ndim or function.overloadpacket not in ARITHMETIC for tensor in there)
    ):
        raise RuntimeError(f"{function} of tensors of both cuda:0 and the CPU")
    if generator is not None:
        raise RuntimeError(f"{function} for cuda:0 by a generator of the CPU")


def _find_wait(function, args, there, stays_here):
    """Return why the host waits for the device here, if it does."""
    if function in COPIES:
        if not stays_here:
            return "copy to the host"
        pageable = [tensor for tensor in there if not getattr(tensor, "pinned", False)]
        return "copy from pageable memory" if pageable else None
    by_mask = function in INDEXING and any(
        index is not None and index.dtype == torch.bool for index in args[1]
    )
    return str(function) if by_mask or function in WAITING else None


def _take_down(value):
    if isinstance(value, OnGpu):
        return value.held
    is_place = isinstance(value, torch.device) and value == STAND_IN
    return torch.device("cpu") if is_place else value


class _Names(TorchFunctionMode):
    """Tells torch of the stand-in where the GPU is meant."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.Tensor.pin_memory:
            pinned = args[0].clone()
            pinned.pinned = True
            return pinned
        if function is torch.Tensor.new_tensor:
            like, *args = args
            function, kwargs = torch.tensor, {"dtype": like.dtype, "device": like.device, **kwargs}
        if function not in (torch.device, torch.get_device_module):
            args = tuple(_name_stand_in(value) for value in args)
            kwargs = {name: _name_stand_in(value) for name, value in kwargs.items()}
        # From plain numbers torch makes a tensor without asking any mode.
        if function in FROM_DATA and kwargs.get("device") == STAND_IN:
            return function(*args, **{**kwargs, "device": "cpu"}).to(STAND_IN)
        return function(*args, **kwargs)


def _name_stand_in(value):
    is_name = isinstance(value, str | torch.device) and str(value) in ("cuda", "cuda:0")
    return STAND_IN if is_name else value


@contextlib.contextmanager
def pretend_gpu():
    """Pretend that there is a GPU; yield the :class:`PretendedGpu`, which counts."""
    with _Names(), PretendedGpu() as gpu:
        yield gpu
