"""What numba has no words for: population counts, prefetches and vectors, written as LLVM.

The population count is taken over vectors of eight words; looked at once (`inspect_asm` on Sapphire Rapids): one
`vpopcntq zmm` for eight words, no call and no scalar `popcnt` in the loop. Elsewhere LLVM lowers the same to what is there.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I8, _I16, _I32, _I64 = (ir.IntType(n) for n in (8, 16, 32, 64))


@intrinsic
def popcount(context: Any, word: Any) -> Any:
    """Bits set in a 64-bit word."""
    return types.int64(types.uint64), lambda c, builder, sig, args: builder.ctpop(args[0])


@intrinsic
def lowest_bit(context: Any, word: Any) -> Any:
    """Position of the lowest bit set; 64 for none."""
    return types.int64(types.uint64), lambda c, builder, sig, args: builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))


@intrinsic
def prefetch(context: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of array[at]; an address beyond the end is harmless."""

    def generate(c: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.gep(_pointer(c, builder, sig.args[0], args[0]), [args[1]])
        called = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, called, "llvm.prefetch.p0")
        flags = [ir.Constant(_I32, n) for n in (0, 3, 1)]  # read, keep in all caches, data
        builder.call(function, [builder.bitcast(pointer, _I8.as_pointer()), *flags])
        return c.get_dummy_value()

    return types.void(array, types.intp), generate


def _pointer(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _load(builder: Any, pointer: Any, vector: Any, align: int) -> Any:
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = align
    return loaded


def _call(builder: Any, name: str, result: Any, *args: Any) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), list(args))


@intrinsic(prefer_literal=True)
def hamming(context: Any, codes: Any, at: Any, query: Any, n_words: Any) -> Any:
    """Bits in which codes[at : at + n_words] differs from query; n_words is a constant: vectors of eight words, unrolled."""
    if not isinstance(n_words, types.IntegerLiteral):
        return None
    wide = n_words.literal_value

    def generate(c: Any, builder: Any, sig: Any, args: Any) -> Any:
        code = builder.gep(_pointer(c, builder, sig.args[0], args[0]), [args[1]])
        wanted = _pointer(c, builder, sig.args[2], args[2])
        sums: dict[int, Any] = {}
        done = 0
        while done < wide:
            lanes = 8
            while lanes > wide - done:
                lanes //= 2
            vector = ir.VectorType(_I64, lanes)
            here = [ir.Constant(_I64, done)]
            differing = builder.xor(
                _load(builder, builder.gep(code, here), vector, 8),
                _load(builder, builder.gep(wanted, here), vector, 8),
            )
            counted = _call(builder, f"llvm.ctpop.v{lanes}i64", vector, differing)
            sums[lanes] = builder.add(sums[lanes], counted) if lanes in sums else counted
            done += lanes
        total = ir.Constant(_I64, 0)
        for lanes, summed in sums.items():
            total = builder.add(total, _call(builder, f"llvm.vector.reduce.add.v{lanes}i64", _I64, summed))
        return total

    return types.int64(codes, types.intp, query, n_words), generate


@intrinsic
def half_l1(context: Any, colours: Any, at: Any, query: Any) -> Any:
    """Half the L1 distance of colours[at : at + 64] and query[:64], both uint8."""

    def generate(c: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector, wide = ir.VectorType(_I8, 64), ir.VectorType(_I16, 64)
        a = _load(builder, builder.gep(_pointer(c, builder, sig.args[0], args[0]), [args[1]]), vector, 1)
        b = _load(builder, _pointer(c, builder, sig.args[2], args[2]), vector, 1)
        larger, smaller = (_call(builder, f"llvm.{name}.v64i8", vector, a, b) for name in ("umax", "umin"))
        differences = builder.zext(builder.sub(larger, smaller), wide)
        total = _call(builder, "llvm.vector.reduce.add.v64i16", _I16, differences)
        return builder.lshr(builder.zext(total, _I64), ir.Constant(_I64, 1))

    return types.int64(colours, types.intp, query), generate


@intrinsic
def add_where(context: Any, sums: Any, bits: Any, share: Any) -> Any:
    """Add `share` to each of 64 uint16 sums whose bit is set: two masked vector additions."""

    def generate(c: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(_I16, 64)
        pointer = builder.bitcast(_pointer(c, builder, sig.args[0], args[0]), vector.as_pointer())
        loaded = builder.load(pointer)
        loaded.align = 2
        chosen = builder.bitcast(args[1], ir.VectorType(ir.IntType(1), 64))
        spread = _spread(builder, builder.trunc(args[2], _I16), vector)
        added = builder.select(chosen, spread, ir.Constant(vector, [0] * 64))
        stored = builder.store(builder.add(loaded, added), pointer)
        stored.align = 2
        return c.get_dummy_value()

    return types.void(sums, types.uint64, types.int64), generate


@intrinsic
def least(context: Any, sums: Any) -> Any:
    """The smallest of 64 uint16."""

    def generate(c: Any, builder: Any, sig: Any, args: Any) -> Any:
        loaded = _load(builder, _pointer(c, builder, sig.args[0], args[0]), ir.VectorType(_I16, 64), 2)
        return builder.zext(_call(builder, "llvm.vector.reduce.umin.v64i16", _I16, loaded), _I64)

    return types.int64(sums), generate


@intrinsic
def at_most(context: Any, distances: Any, bound: Any) -> Any:
    """Which of 64 int64 are at most `bound`, as bits."""

    def generate(c: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(_I64, 64)
        loaded = _load(builder, _pointer(c, builder, sig.args[0], args[0]), vector, 8)
        near = builder.icmp_signed("<=", loaded, _spread(builder, args[1], vector))
        return builder.bitcast(near, _I64)

    return types.uint64(distances, types.int64), generate


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    """A vector whose lanes all hold the value."""
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count))
