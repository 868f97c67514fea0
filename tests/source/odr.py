#!/usr/bin/env python3
"""Finds types with one name and two definitions, which a linker merges without a word.

    odr.py [SOURCE_FOLDER] [--list]     exit code 1 where a name stands for two types; --list: all
    odr.py --self-test                  planted definitions that must be found or must not

Read are the sources, not a build: every struct, class, union and enum of the project with the
namespaces and classes around it. That two of them could meet in one program is taken for granted,
as all of verify/, cuda/ and reference/ does, and a test can move from one program to another.

No violations are: types in a function; types in an unnamed namespace of a .cpp or .cu; definitions
in the branches of one #if, of which a compiler sees one; those of plug-ins, which are programs of
their own. An unnamed namespace in a header is a violation of its own kind: each file that includes
it has other types of the same name, and an inline function that uses them breaks the rule.
"""
import os
import re
import sys
import tempfile

SOURCES = (".h", ".hpp", ".cpp", ".cu", ".cuh")
HEADERS = (".h", ".hpp", ".cuh")
TOPS = ("reference", "cuda", "verify", "tests")
# Shared objects and projects of their own, linked with nothing else.
APART = ("tests/plugins/", "tests/outside/", "cuda/examples/", "examples/")
# Headers that each file includes to have a copy of its own, and why.
COPIES = {"tests/call/broken_variant.hpp": "it holds a plug-in, whose entry every test names anew"}
KINDS = ("struct", "class", "union", "enum")
TOKEN = re.compile(r"""
    //[^\n]*|/\*.*?\*/                                # comments
    |(?:u8|[uUL])?R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"  # raw strings
    |(?:u8|[uUL])?"(?:\\.|[^"\\\n])*"
    |\d[\w.']*|\.\d[\w.']*                            # numbers, as ' may stand in them
    |'(?:\\.|[^'\\\n])+'
    |^[ \t]*\#(?:\\\n|//[^\n]*|/\*.*?\*/|[^\n])*      # a directive with its continuations
    |[A-Za-z_]\w*|::|\[\[|\]\]|[^\s]""", re.X | re.S | re.M)


def tokens_of(text):
    """(line, token) without comments and strings; a directive is one token that begins with #."""
    line, at = 1, 0
    for match in TOKEN.finditer(text):
        line, at = line + text.count("\n", at, match.start()), match.start()
        word = match.group().lstrip()
        if not word.startswith(("//", "/*")):
            yield line, word if word[0] == "#" or not word.endswith('"') else '""'


def without_templates(head):
    """The tokens of a declaration without template <...>, [[...]] and NAME(...) of alignments."""
    out, i = [], 0
    while i < len(head):
        word = head[i][1]
        if word == "template" and i + 1 < len(head) and head[i + 1][1] == "<":
            i = behind(head, i + 1, "<", ">")
        elif word == "[[":
            i = behind(head, i, "[[", "]]")
        elif word in ("alignas", "__align__", "__attribute__", "decltype") and i + 1 < len(head):
            i = behind(head, i + 1, "(", ")")
        else:
            out.append(head[i])
            i += 1
    return out


def behind(head, i, opening, closing):
    """The index behind the bracket that closes the one at i."""
    depth = 0
    while i < len(head):
        depth += (head[i][1] == opening) - (head[i][1] == closing)
        i += 1
        if depth == 0:
            break
    return i


def scope_of(head):
    """What a { behind these tokens opens: (kind, name, line); kind is namespace, type or other."""
    head = without_templates(head)
    words = [word for _, word in head]
    if "namespace" in words[:2]:
        name = "".join(words[words.index("namespace") + 1:]) or "(unnamed)"
        return "namespace", name.replace("inline", ""), head[0][0]
    if words == ["extern", '""']:
        return "namespace", "", head[0][0]
    at = next((i for i, word in enumerate(words) if word in KINDS), None)
    if at is None or "=" in words[:at] or "(" in words[:at]:
        return "other", "", 0
    name, i = [], at + 1
    while i < len(words) and words[i] in KINDS:  # enum class
        i += 1
    while i < len(words) and words[i] not in (":", "final"):
        if words[i] == "(":  # a function that returns such a type
            return "other", "", 0
        name.append(words[i])
        i += 1
    if not name:
        return "other" if words[at] == "enum" else "type", "", head[at][0]
    return "type", text_of(name), head[at][0]


def text_of(words):
    """Tokens as text, spaces only where two names would become one."""
    out = ""
    for word in words:
        out += (" " if out and (out[-1] + word[0]).replace("_", "a").isalnum() else "") + word
    return out


def types_of(path, text):
    """[(qualified name, line, branch of #if)] of the types that this file defines."""
    found, scopes, head, opened = [], [], [], 0
    branches = []  # of the directives around: number of the #if, of its branch, scopes before it
    for line, word in tokens_of(text):
        if word[0] == "#":
            directive = re.match(r"#\s*(\w+)", word)
            directive = directive.group(1) if directive else ""
            if directive in ("if", "ifdef", "ifndef"):
                opened += 1
                branches.append((opened, 0, list(scopes)))
            elif directive in ("else", "elif") and branches:
                # A brace that opens in every branch is closed once.
                number, branch, before = branches[-1]
                branches[-1] = (number, branch + 1, before)
                scopes, head = list(before), []
            elif directive == "endif" and branches:
                branches.pop()
            continue
        if word == "{":
            kind, name, at = scope_of(head)
            local = any(scope[0] == "other" for scope in scopes)
            if local:
                kind = "other"
            scopes.append((kind, name))
            if kind == "type" and name:
                names = [scope[1] for scope in scopes if scope[1]]
                found.append(("::".join(names), at, tuple(one[:2] for one in branches)))
            head = []
        elif word == "}":
            if scopes:
                scopes.pop()
            head = []
        elif word == ";":
            head = []
        elif word == ":" and [one[1] for one in head] in (["public"], ["private"], ["protected"]):
            head = []
        else:
            head.append((line, word))
    return found


def exclusive(one, other):
    """Whether two places of one file are in different branches of one #if."""
    for (number, branch), (second, second_branch) in zip(one, other):
        if number == second and branch != second_branch:
            return True
    return False


def examine(root):
    """(sentences on what is wrong, {name: [(file, line)]})"""
    wrong, places = [], {}
    for top in TOPS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                if not name.endswith(SOURCES) or path.startswith(APART):
                    continue
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    found = types_of(path, file.read())
                for qualified, line, branches in found:
                    if "(unnamed)" in qualified:
                        if name.endswith(HEADERS) and path not in COPIES:
                            wrong.append(f"{path}:{line}: {qualified} is in an unnamed namespace "
                                         "of a header; give the namespace a name")
                        continue
                    places.setdefault(qualified, []).append((path, line, branches))
    for qualified, where in sorted(places.items()):
        distinct = []
        for path, line, branches in where:
            if not any(path == other and exclusive(branches, others)
                       for other, _, others in distinct):
                distinct.append((path, line, branches))
        if len(distinct) > 1:
            wrong.append(f"{qualified} is defined {len(distinct)} times, at " +
                         " and ".join(f"{path}:{line}" for path, line, _ in distinct) +
                         "; give one of them another name, or a namespace of its own")
    return wrong, places


def self_test():
    first = "namespace a {\nstruct Finding {\n  int x;\n};\n}\n"
    planted = [  # files beside the first, and a part of the sentence, or None where all is right
        ({}, None),
        ({"verify/x/b.hpp": "namespace a {\nclass Finding final : public B<int> {};\n}"},
         "verify/x/b.hpp:2"),
        ({"tests/x/b.cpp": "namespace a { struct Finding {}; }"}, "tests/x/b.cpp:1"),
        ({"verify/b.cpp": "namespace a { template <class T> struct Finding {}; }"}, "2 times"),
        ({"verify/b.cpp": "namespace a { enum class Finding : int { one }; }"}, "2 times"),
        ({"verify/b.cpp": "extern \"C\" {\n namespace a { union alignas(8) Finding {}; }\n}"},
         "2 times"),
        ({"verify/b.cpp": "namespace a { inline namespace v { } struct Finding {}; }"}, "2 times"),
        ({"verify/b.cpp": "namespace a { void f() { if (x) { } } struct Finding {}; }"}, "2 times"),
        ({"verify/b.cpp": "namespace a { int y = 1'000'0; char c = '{'; struct Finding {}; }"},
         "2 times"),
        ({"verify/b.cpp": "namespace a { const char* s = R\"(})\"; struct Finding {}; }"},
         "2 times"),
        ({"verify/b.cpp": "#define X }\nnamespace a { // }\n struct [[nodiscard]] Finding {}; }"},
         "2 times"),
        ({"verify/b.cpp": "#include \"x.hpp\"\nnamespace a::b { struct C { int x; }; }",
          "verify/c.hpp": "namespace a { namespace b { struct C; class C { union {} u; }; } }"},
         "a::b::C is defined 2 times"),
        ({"verify/b.cpp": "template <> struct T<int> {};", "verify/c.cpp":
          "template <>\nstruct T<int> {};"}, "T<int> is defined 2 times"),
        ({"verify/b.hpp": "namespace a { namespace { struct Own {}; } }"}, "unnamed namespace"),
        ({"verify/b.cpp": "namespace a { namespace { struct Finding {}; } }"}, None),
        ({"verify/b.cpp": "namespace a { void f() { struct Finding {}; } }"}, None),
        ({"verify/b.cpp": "namespace a { struct Finding f() { return {}; } struct Finding; }"},
         None),
        ({"verify/b.cpp": "namespace a { struct C { struct Finding {}; }; }"}, None),
        ({"verify/b.cpp": "namespace b { struct Finding {}; }"}, None),
        ({"verify/b.cpp": "template <> struct T<int> {}; template <> struct T<long> {};"}, None),
        ({"verify/b.cpp": "#if X\nstruct T {\n#else\nstruct T {\n#endif\n};\nstruct U {};"}, None),
        ({"verify/b.cpp": "namespace a { Finding f{}; auto g = [] { struct Finding {}; }; }"},
         None),
        ({"tests/plugins/b.cpp": "namespace a { struct Finding {}; }"}, None),
    ]
    missed = 0
    for change, expected in planted:
        with tempfile.TemporaryDirectory() as root:
            for path, text in {"verify/a.hpp": first, **change}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            wrong = examine(root)[0]
        right = not wrong if expected is None else len(wrong) == 1 and expected in wrong[0]
        if not right:
            print(f"planted {change}: expected {expected}, found {wrong}")
            missed += 1
    print(f"{len(planted)} sources planted, {missed} tries ended otherwise than they should")
    return missed


def main(arguments):
    if "--self-test" in arguments:
        return 1 if self_test() else 0
    roots = [word for word in arguments if not word.startswith("--")]
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    wrong, places = examine(roots[0] if roots else here)
    if "--list" in arguments:
        for qualified, where in sorted(places.items()):
            print(f"{qualified}  " + " ".join(f"{path}:{line}" for path, line, _ in where))
    for line in wrong:
        print(line)
    print(f"{len(places)} types have a name that other files can see; {len(wrong)} violations.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
