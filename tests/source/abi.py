#!/usr/bin/env python3
"""Compares the structures and constants of ci/abn_kernels.py with those of cuda/kernel.h: names,
order and types of the fields, and the values of what both name.

    abi.py [SOURCE_FOLDER]     exit code 1 where they differ
    abi.py --self-test         planted differences that must be found
"""
import ctypes
import importlib.util
import os
import re
import sys

# The structures by both names, and whether the script may stop before the last field.
STRUCTURES = [("abn_problem", "AbnProblem", False), ("abn_claims", "AbnClaims", True),
              ("abn_forward_args", "ForwardArgs", False),
              ("abn_backward_args", "BackwardArgs", False), ("abn_variant", "AbnVariant", False)]
TYPES = {"int": ctypes.c_int, "int16_t": ctypes.c_int16, "int32_t": ctypes.c_int32,
         "uint32_t": ctypes.c_uint32, "int64_t": ctypes.c_int64, "size_t": ctypes.c_size_t,
         "double": ctypes.c_double, "void*": ctypes.c_void_p, "char*": ctypes.c_char_p}
CONSTANTS = ["ABI_VERSION", "MEMORY_HOST", "MEMORY_CUDA", "FORWARD", "BACKWARD", "LEAKY_RELU",
             "SAVES_Z", "SAVES_MEAN", "SAVES_VAR"]
TABLES = ["LAYOUTS", "DTYPES"]  # word -> number; the constant is the word in capitals
FUNCTION = re.compile(r"(\w+) \(\*(\w+)\)\((.*)\)")


def plain(header):
    """The header without comments, const, and spaces that mean nothing."""
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.S)
    text = re.sub(r"\bconst\s+", "", text)
    return re.sub(r"\s*\*", "*", re.sub(r"\s+", " ", text))


def structures_of(header):
    """{name: [(field, type)]}, a type as a word, or for a function its result and arguments."""
    found = {}
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", plain(header)):
        fields = found[name] = []
        for line in filter(None, map(str.strip, body.split(";"))):
            function = FUNCTION.fullmatch(line)
            if function:
                arguments = [words.rsplit(" ", 1)[0] for words in function[3].split(", ")]
                fields.append((function[2], (function[1], *arguments)))
                continue
            kind, names = line.split(" ", 1)
            fields += [(field, kind) for field in names.split(", ")]
    return found


def constants_of(header):
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.S)
    values = re.findall(r"\bABN_(\w+) = (\d+)", text)
    values += re.findall(r"#define ABN_(\w+) (\d+)", text)
    return {name: int(value) for name, value in values}


def ctype_of(kind, script):
    """What ctypes calls a type of the header."""
    if kind in TYPES:
        return TYPES[kind]
    for name, own, _ in STRUCTURES:
        if kind == name + "*":
            return ctypes.POINTER(getattr(script, own))
    return None


def agrees(kind, ctype, script):
    if isinstance(kind, str):
        return ctype_of(kind, script) is ctype
    result, arguments = getattr(ctype, "_restype_", None), getattr(ctype, "_argtypes_", ())
    return [ctype_of(one, script) for one in kind] == [result, *arguments]


def differences(header, script):
    """A sentence for each thing that the two files say differently."""
    wrong, structures, constants = [], structures_of(header), constants_of(header)
    for name, own, may_stop in STRUCTURES:
        there, here = structures.get(name, []), getattr(script, own)._fields_
        if not there:
            wrong.append(f"kernel.h has no struct {name} that this check can read")
        if len(here) > len(there) or len(here) < len(there) and not may_stop:
            wrong.append(f"{own} has {len(here)} fields and {name} {len(there)}")
        for (field, kind), (own_field, ctype) in zip(there, here):
            if field != own_field:
                wrong.append(f"{own}.{own_field} stands where {name} has {field}")
            elif not agrees(kind, ctype, script):
                wrong.append(f"{own}.{field} is a {ctype.__name__}, not a {kind}")
    named = {name: getattr(script, name) for name in CONSTANTS}
    for table in TABLES:
        named.update({word.upper(): value for word, value in getattr(script, table).items()})
    for name, value in named.items():
        if constants.get(name) != value:
            wrong.append(f"{name} is {value}, and ABN_{name} {constants.get(name)}")
    return wrong


def read(root):
    with open(os.path.join(root, "cuda", "kernel.h"), encoding="utf-8") as file:
        header = file.read()
    place = os.path.join(root, "ci", "abn_kernels.py")
    spec = importlib.util.spec_from_file_location("abn_kernels", place)
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # dataclass looks itself up there
    spec.loader.exec_module(script)
    return header, script


def self_test(root):
    """Each difference, planted in the text of the header, must be found."""
    header, script = read(root)
    planted = [("int32_t layout;", "int64_t layout;"), ("int64_t n, c, s;", "int64_t n, s, c;"),
               ("double momentum;", ""), ("uint32_t saves;", "int32_t saves;"),
               ("void* stream;", "void* stream; void* more;"),
               ("const char* summary;", "const void* summary;"),
               ("ABN_SAVES_VAR = 16", "ABN_SAVES_VAR = 32"), ("ABN_NHWC = 1", "ABN_NHWC = 2"),
               ("abn_problem* problem, int direction", "abn_problem* problem, int64_t direction"),
               ("abn_problem* problem, abn_claims* out", "abn_claims* out, abn_problem* problem")]
    missed = differences(header, script)
    for old, new in planted:
        if old not in header or not differences(header.replace(old, new), script):
            missed.append(f"planted {new!r} for {old!r}, and nothing was found")
    print(f"{len(planted)} differences planted, "
          f"{len(missed)} tries ended otherwise than they should")
    for line in missed:
        print("  " + line)
    return 1 if missed else 0


def main(arguments):
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    sys.dont_write_bytecode = True
    if "--self-test" in arguments:
        return self_test(here)
    wrong = differences(*read(arguments[0] if arguments else here))
    for line in wrong:
        print(line)
    print(f"{len(STRUCTURES)} structures, {len(wrong)} differences"
          + ("; mend ci/abn_kernels.py." if wrong else "."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
