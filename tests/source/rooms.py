#!/usr/bin/env python3
"""Draws the includes of the project and checks the arrows: rooms, floors, arrows up, cycles.

    rooms.py [SOURCE_FOLDER] [--dot]     the drawing, and exit code 1 where an arrow is wrong
    rooms.py --self-test                 planted arrows that must be found

The rooms of verify/ and their order are the table in verify/README.md: a room may include itself
and the rooms above it in that table. The other rules are in RULES. A cycle is wrong in verify/ and
in cuda/emulator/, even inside one room; a header and its source count as one.
"""
import os
import re
import sys
import tempfile

SOURCES = (".h", ".hpp", ".cpp", ".cu", ".cuh")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.M)
# Which top folder may not include what, and why.
PTX_ORDER = "the executor's floors are read, state, forms, run and runtime, in this order"
RULES = [
    ("reference/", r"(cuda|verify|tests)/|.*\.cuh$|cuda_",
     "reference/ knows nothing of kernels, the judge or the tests"),
    ("cuda/", r"(reference|verify|tests)/",
     "cuda/ knows nothing of the oracle, the judge or the tests: they share no formula"),
    ("verify/", r"tests/", "verify/ knows nothing of the tests"),
    ("verify/",
     r"cuda/(?!(kernel|plan|registry|host_code)\.h$|emulator/(report|speed)\.h$|ptx/ptx\.h$)",
     "verify/ sees the kernels through the plain headers of cuda/ and cuda/emulator/ only"),
    ("cuda/ptx/read/", r"cuda/ptx/(state|forms|run|runtime)/", PTX_ORDER),
    ("cuda/ptx/state/", r"cuda/ptx/(forms|run|runtime)/", PTX_ORDER),
    ("cuda/ptx/forms/", r"cuda/ptx/(run|runtime)/", PTX_ORDER),
    ("cuda/ptx/run/", r"cuda/ptx/runtime/", PTX_ORDER),
    ("cuda/ptx/", r"cuda/(?!ptx/|emulator/(report\.h|occupancy\.hpp)$)",
     "the executor shares nothing with the kernels and the emulator but the report"),
]


def includes_of(root):
    """{file: [included file, as far as it lies in the project]} for every source below `root`."""
    graph = {}
    for top in ("reference", "cuda", "verify", "tests"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if not name.endswith(SOURCES):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    found = INCLUDE.findall(file.read())
                own = os.path.relpath(path, root)
                graph[own] = [resolve(root, own, target) for target in found]
    return graph


def resolve(root, own, target):
    """An include as a path below the root: as written, or relative to the file that has it."""
    beside = os.path.normpath(os.path.join(os.path.dirname(own), target))
    return beside if os.path.exists(os.path.join(root, beside)) else os.path.normpath(target)


def rooms_of(root):
    """The rooms of verify/, top floor last: the rows of the table in verify/README.md."""
    with open(os.path.join(root, "verify", "README.md"), encoding="utf-8") as file:
        return re.findall(r"^\| `(\w+)/` \|", file.read(), re.M)


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "verify" and len(parts) > 2 else None


def units_of(files, prefix):
    """The same graph over units, a unit being a header with its source: {stem: [stems that either
    of them includes]}."""
    graph = {}
    for path, targets in files.items():
        if path.startswith(prefix):
            unit = os.path.splitext(path)[0]
            stems = (os.path.splitext(target)[0] for target in targets if target in files)
            graph.setdefault(unit, []).extend(stem for stem in stems if stem != unit)
            if path in targets:
                graph[unit].append(unit)
    return graph


def cycles_of(files, prefix):
    """The sets of units below `prefix` that include each other: strongly connected components
    (Tarjan), iteratively."""
    graph = units_of(files, prefix)
    nodes = list(graph)
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for start in nodes:
        if start in index:
            continue
        work = [(start, iter(graph[start]))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in graph:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(graph[target])))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    members = []
                    while not members or members[-1] != node:
                        members.append(stack.pop())
                        on_stack.discard(members[-1])
                    if len(members) > 1 or node in graph[node]:
                        found.append(sorted(members))
    return found


def examine(root):
    """(sentences on what is wrong, {(room, room): number of includes}, rooms)"""
    graph, rooms, wrong, arrows = includes_of(root), rooms_of(root), [], {}
    floor = {room: number for number, room in enumerate(rooms)}
    folders = sorted({room_of(path) for path in graph if room_of(path)})
    for folder in folders:
        if folder not in floor:
            wrong.append(f"verify/{folder}/ has no row in the table of verify/README.md; add one")
    for room in rooms:
        if room not in folders:
            wrong.append(f"verify/README.md has a row for {room}/, which has no file")
    for path, targets in graph.items():
        if re.fullmatch(r"verify/[^/]+", path):
            wrong.append(f"{path} lies in no room; move it into one")
        for target in targets:
            for prefix, pattern, why in RULES:
                if path.startswith(prefix) and re.match(pattern, target):
                    wrong.append(f"{path} includes {target}: {why}")
            source, aim = room_of(path), room_of(target)
            if source is None or aim is None or source == aim:
                continue
            arrows[source, aim] = arrows.get((source, aim), 0) + 1
            if floor.get(source, 0) < floor.get(aim, 0):
                wrong.append(f"{path} includes {target}: an arrow up, from {source}/ to {aim}/")
    for prefix in ("verify/", "cuda/emulator/"):
        for cycle in cycles_of(graph, prefix):
            wrong.append("a cycle of includes: " + " ".join(cycle))
    return wrong, arrows, rooms


def draw(arrows, rooms):
    print(f"rooms {len(rooms)}, arrows between them {len(arrows)}, includes {sum(arrows.values())}")
    width = max(map(len, rooms))
    for room in rooms:
        down = [f"{aim} {arrows[room, aim]}" for aim in rooms if (room, aim) in arrows]
        print(f"  {room:{width}}  {'-> ' + ', '.join(down) if down else ''}".rstrip())


def dot(arrows, rooms):
    print("digraph rooms {\n  rankdir=BT;")
    for (source, aim), count in sorted(arrows.items()):
        print(f'  "{source}" -> "{aim}" [label={count}];')
    print("}")


def self_test():
    """Every kind of wrong arrow, planted in a small tree of its own, must be found; the tree
    without them must not."""
    tree = {
        "verify/README.md": "| `low/` | below |\n| `high/` | above |\n",
        "verify/low/a.hpp": "", "verify/high/b.hpp": '#include "verify/low/a.hpp"\n',
        "cuda/emulator/x.hpp": "", "cuda/kernel.h": "", "reference/r.hpp": "",
    }
    planted = [
        ({"verify/low/a.hpp": '#include "verify/high/b.hpp"\n'}, "an arrow up"),
        ({"verify/low/a.hpp": '#include "verify/low/c.hpp"\n',
          "verify/low/c.hpp": '#include "a.hpp"\n'}, "a cycle"),
        ({"cuda/emulator/x.hpp": '#include "cuda/emulator/y.hpp"\n',
          "cuda/emulator/y.hpp": '#include "cuda/emulator/x.hpp"\n'}, "a cycle"),
        ({"verify/low/a.cpp": '#include "c.hpp"\n', "verify/low/c.hpp": "",
          "verify/low/c.cpp": '#include "a.hpp"\n'}, "a cycle"),
        ({"cuda/emulator/x.hpp": '#include "../../reference/r.hpp"\n'}, "share no formula"),
        ({"reference/r.hpp": "#include <cuda_runtime.h>\n"}, "knows nothing of kernels"),
        ({"verify/low/a.hpp": '#include "cuda/emulator/x.hpp"\n'}, "plain headers"),
        ({"verify/high/b.hpp": '#  include "tests/t.hpp"\n'}, "nothing of the tests"),
        ({"verify/flat.hpp": ""}, "lies in no room"),
        ({"verify/attic/a.hpp": ""}, "no row"),
        ({"verify/README.md": "| `low/` | x |\n| `high/` | x |\n| `gone/` | x |\n"}, "no file"),
    ]
    missed = 0
    for change, expected in [({}, None)] + planted:
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**tree, **change}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            wrong = examine(root)[0]
            right = not wrong if expected is None else any(expected in line for line in wrong)
            if not right:
                print(f"planted {change}: expected '{expected}', found {wrong}")
                missed += 1
    print(f"{len(planted)} wrong arrows planted, {missed} tries ended otherwise than they should")
    return missed


def main(arguments):
    if "--self-test" in arguments:
        return 1 if self_test() else 0
    roots = [word for word in arguments if not word.startswith("--")]
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    wrong, arrows, rooms = examine(roots[0] if roots else here)
    (dot if "--dot" in arguments else draw)(arrows, rooms)
    up = sum("an arrow up" in line for line in wrong)
    cycles = sum("a cycle" in line for line in wrong)
    print(f"arrows up {up}, cycles {cycles}, other rules broken {len(wrong) - up - cycles}",
          file=sys.stderr if "--dot" in arguments else sys.stdout)
    for line in wrong:
        print("  " + line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
