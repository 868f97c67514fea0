#!/usr/bin/env python3
"""Holds the pages that people read to what is there: lengths, quoted code, links, commands, words.

    readme.py [SOURCE_FOLDER [ABN_VERIFY]]   exit code 1 where a page is wrong
    readme.py --self-test                    planted mistakes that must be found

Of README.md: at most 150 lines; every C++ or Python block is a run of lines of a file in
cuda/examples/ or verify/python/examples/; the glossary has at most 20 words, a line each. Of all
pages: prose has at most 100 columns, links lead to files, scripts exist. With the program
ABN_VERIFY: every verb and option that a page names is in its --help, every failure that a page
quotes is what its own command prints, and `explain` says of each word of the glossary what the
glossary says.
"""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

LINES, COLUMNS, WORDS = 150, 100, 20
EXAMPLES = [os.path.join("cuda", "examples"), os.path.join("verify", "python", "examples")]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "verify/README.md", "verify/GUIDE.md",
         "verify/EVIDENCE.md"]
GLOSSARY = re.compile(r"^- \*\*([^*]+)\*\*: (.*)$", re.M)


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def blocks_of(text):
    """(text without its fenced blocks, [(language, block)])"""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.M | re.S), blocks


def glossary_of(readme):
    section = re.search(r"^## Glossary\n(.*?)^## ", readme, re.M | re.S)
    return GLOSSARY.findall(section.group(1)) if section else []


def commands_of(text):
    """[(verb, [options])] of every command in code blocks and inline code. A backslash at the end
    of a line goes on, a comment ends it; later options in a line of prose belong to its command."""
    prose, blocks = blocks_of(text)
    lines = [line.split(" # ")[0].split("  #")[0]
             for _, block in blocks for line in block.replace("\\\n", " ").split("\n")]
    lines += [" ".join(re.findall(r"`([^`]+)`", line)) for line in prose.split("\n")]
    found = []
    for line in lines:
        for command in re.split(r"(?=abn-verify [a-z])", line):
            verb = re.match(r"abn-verify ([a-z]\w*)", command)
            if verb and verb.group(1) != "VERB":
                found.append((verb.group(1), re.findall(r"(?<![\w-])--[a-z][a-z-]*", command)))
    return found


def wrong_in_page(root, page):
    text = read(root, page)
    prose, blocks = blocks_of(text)
    wrong = []
    for line in prose.split("\n"):
        if len(line) > COLUMNS and not line.startswith(("|", "![")):
            wrong.append(f"{page}: {len(line)} columns: {line[:60]}...")
    folder = os.path.dirname(os.path.join(root, page))
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if not target.startswith("http") and not os.path.exists(os.path.join(folder, target)):
            wrong.append(f"{page}: the link {target} leads nowhere")
    for script in re.findall(r"\bci/[\w-]+\.(?:sh|py|yml)", text):
        if not os.path.exists(os.path.join(root, script)):
            wrong.append(f"{page}: there is no {script}")
    if page == "README.md":
        lines = text.count("\n")
        if lines > LINES:
            wrong.append(f"{page}: {lines} lines, more than {LINES}")
        sources = [read(path) for folder in EXAMPLES for path in
                   glob.glob(os.path.join(root, folder, "*.*"))]
        for language, block in blocks:
            if language in ("cpp", "python") and not any(block in source for source in sources):
                wrong.append(f"{page}: no file of {' or '.join(EXAMPLES)} has the lines "
                             f"{block[:60]!r}...")
        words = glossary_of(text)
        if not 0 < len(words) <= WORDS:
            wrong.append(f"{page}: {len(words)} words in the glossary, not 1 to {WORDS}")
    return wrong


def help_of(program, verb):
    asked = subprocess.run([program, verb, "--help"] if verb else [program, "--help"],
                           capture_output=True, text=True, check=False)
    return asked.stdout if asked.returncode == 0 else ""


def plain(text):
    """What is compared of a sentence: not how it is wrapped, quoted or where it begins."""
    return " ".join(text.replace("`", "").lower().split()).rstrip(".")


def wrong_failures(page, blocks, program):
    """Every failure text is what its last line prints, if its plug-in lies beside the program."""
    folder, wrong = os.path.dirname(os.path.abspath(program)), []
    for _, block in blocks:
        command = re.search(r"reproduce abn-verify (.*)", block)
        plugin = re.search(r"--plugin (\S+)", block)
        if not block.startswith("FAIL ") or not command:
            continue
        if plugin and not os.path.exists(os.path.join(folder, plugin.group(1))):
            continue
        ran = subprocess.run([os.path.abspath(program), *shlex.split(command.group(1))], cwd=folder,
                             capture_output=True, text=True, check=False)
        if not ran.stdout.startswith(block):
            wrong.append(f"{page}: {block.split()[1]} now fails like this:\n{ran.stdout[:2000]}")
    return wrong


def wrong_for_program(root, pages, program):
    helps, wrong = {}, []
    for page in pages:
        for verb, options in commands_of(read(root, page)):
            if verb not in helps:
                helps[verb] = help_of(program, verb)
            if not helps[verb]:
                wrong.append(f"{page}: abn-verify has no verb {verb}")
                continue
            for option in options:
                if not re.search(re.escape(option) + r"\b", helps[verb]):
                    wrong.append(f"{page}: abn-verify {verb} has no option {option}")
        wrong += wrong_failures(page, blocks_of(read(root, page))[1], program)
    for word, sentence in glossary_of(read(root, "README.md")):
        said = subprocess.run([program, "explain", *word.split()], capture_output=True, text=True,
                              check=False)
        if plain(sentence) not in plain(said.stdout):
            wrong.append(f"README.md: explain {word} does not say: {sentence}")
    return wrong


def examine(root, program=None):
    pages = [page for page in PAGES if os.path.exists(os.path.join(root, page))]
    wrong = [line for page in pages for line in wrong_in_page(root, page)]
    return wrong + (wrong_for_program(root, pages, program) if program else [])


def self_test():
    good = ("# a\n\n```cpp\nint f();\nint g();\n```\n\n[b](cuda/examples/a.cpp) `ci/a.sh`\n"
            "`abn-verify run --tier`\n\n```\nFAIL x\n  reproduce abn-verify run x\n```\n\n"
            "## Glossary\n\n- **ulp**: a distance.\n\n## More\n")
    tree = {"cuda/examples/a.cpp": "#pragma once\nint f();\nint g();\nint h();\n", "ci/a.sh": "",
            "program": '#!/bin/sh\n[ "$1" = explain ] && echo "ulp: a distance." && exit\n'
                       '[ "$1" = run ] && [ "$2" = x ] && echo "FAIL x" && '
                       'echo "  reproduce abn-verify run x" && exit 1\n'
                       '[ "$1" = run ] && echo "  --tier TEXT" && exit\nexit 2\n'}
    planted = [
        (good, None),
        (good + "\n" * LINES, "more than"),
        (good + "x" * 101 + "\n", "101 columns"),
        (good.replace("int g();", "int g(int);"), "no file of cuda/examples"),
        (good.replace("a.cpp", "gone.cpp"), "leads nowhere"),
        (good.replace("ci/a.sh", "ci/gone.sh"), "there is no ci/gone.sh"),
        (good.replace("--tier", "--tire"), "no option --tire"),
        (good.replace("abn-verify run", "abn-verify rnu"), "no verb rnu"),
        (good.replace("a distance", "a length"), "does not say"),
        (good.replace("- **ulp**: a distance.\n", ""), "0 words"),
        (good.replace("FAIL x", "FAIL y"), "y now fails like this"),
    ]
    missed = 0
    for text, expected in planted:
        with tempfile.TemporaryDirectory() as root:
            for path, content in {**tree, "README.md": text}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(content)
            program = os.path.join(root, "program")
            os.chmod(program, 0o755)
            wrong = examine(root, program)
        right = not wrong if expected is None else any(expected in line for line in wrong)
        if not right:
            print(f"expected '{expected}', found {wrong}")
            missed += 1
    print(f"{len(planted) - 1} mistakes planted, {missed} tries ended otherwise than they should")
    return missed


def main(arguments):
    if "--self-test" in arguments:
        return 1 if self_test() else 0
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    wrong = examine(arguments[0] if arguments else here, *arguments[1:2])
    for line in wrong:
        print(line)
    print(f"{len(wrong)} mistakes in the pages")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
