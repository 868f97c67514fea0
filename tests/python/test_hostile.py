"""What goes wrong in a call of a kernel is that call's failure, and the run goes on."""
import os
import subprocess
import sys
import tempfile
import unittest

import support
from support import judged, replay

import kernels

ONE = dict(problem="n4c5s12,nchw,f32,leaky_relu:0.01", data="standard")


class Calls(unittest.TestCase):
    def failed(self, kernel, check, *words, **options):
        """The failure of a check has the words, and its reproduce line shows them again."""
        result = judged(kernel, f"{kernel.__name__}/backward/*", **{**ONE, **options})
        self.assertFalse(result, result.text)
        found = [one for one in result.failures if one.id.endswith(f"/{check}")]
        self.assertTrue(found, result.text)
        for word in words:
            self.assertIn(word, found[0].text)
        more = ["--call-seconds", str(options["call_seconds"])] if "call_seconds" in options else []
        code, printed = replay(found[0].reproduce, more)
        self.assertEqual(code, 1, printed)
        for word in words:
            self.assertIn(word, printed)

    def test_an_exception_says_where(self):
        self.failed(kernels.Raises, "status", "raised ValueError: could not broadcast",
                    "kernels.py:", "in backward: out.dx[...] = np.ones(p.s + 1)")

    def test_sys_exit_is_an_exception(self):
        self.failed(kernels.Exits, "status", "raised SystemExit: 3", "sys.exit(3)")

    def test_an_exit_at_once(self):
        self.failed(kernels.ExitsAtOnce, "status", "ended the process with exit code 3")

    def test_a_crash(self):
        self.failed(kernels.Crashes, "status", "crashed with signal 11")

    def test_an_endless_loop(self):
        self.failed(kernels.NeverReturns, "status", "did not come back within 1 seconds",
                    call_seconds=1)

    def test_an_input_that_is_written_to(self):
        self.failed(kernels.WritesInput, "inputs", "dz")

    def test_an_output_that_is_not_written(self):
        self.failed(kernels.LeavesDxUnwritten, "unwritten", "dx")

    def test_a_type_that_is_promoted(self):
        result = judged(kernels.Promotes, "Promotes/forward/*", **ONE)
        self.assertIn("gave z as f64, and it has to be f32", result.text)

    def test_an_array_that_is_kept_from_another_call(self):
        result = judged(kernels.StaleTensor, "StaleTensor/backward/*", **ONE)
        self.assertFalse(result, result.text)


class Files(unittest.TestCase):
    def test_a_file_that_cannot_be_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "broken.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write("import abn_verify\n1 / 0\n")
            code, printed = replay(f"abn-verify run --python {path}")
        self.assertEqual(code, 2, printed)
        self.assertIn("raised ZeroDivisionError: division by zero (broken.py:2 in <module>: 1 / 0)",
                      printed)

    def test_an_interpreter_that_is_not_there(self):
        own = support.environment()
        os.environ["ABN_VERIFY_PYTHON"] = "/nowhere/python3"
        try:
            code, printed = replay("abn-verify run --only-plugins --python "
                                   f"{kernels.__file__}:Right")
        finally:
            os.environ["ABN_VERIFY_PYTHON"] = own["ABN_VERIFY_PYTHON"]
        self.assertNotEqual(code, 0)
        self.assertIn("/nowhere/python3 cannot be started", printed)

    def test_a_script_that_judges_itself_without_a_guard(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "script.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write("import sys; sys.path.insert(0, %r)\n"
                           "import abn_verify, kernels\n"
                           "@abn_verify.kernel(**kernels.CLAIMS)\n"
                           "class Own(kernels.Formulas): pass\n"
                           "result = abn_verify.judge(Own, problem=%r, data='standard', seed=1,"
                           " seconds=0)\n"
                           "print(result.headline); print(result.data['variants'][0]['process'])\n"
                           % (support.HERE, ONE["problem"]))
            ran = subprocess.run([sys.executable, path], capture_output=True, text=True,
                                 timeout=120, check=False)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("worker processes", ran.stdout)


if __name__ == "__main__":
    unittest.main()
