"""Each limit of a worker and each boundary of trust between it and the judge, and how
ci/mutate_judge.py breaks it: what it is, then file, text, and what that becomes where BROKEN is
true. A break of several places is one break; where two guards hold the same thing, both are named.
A last entry is the program and the suites that watch it, where these are others than SUITES.
"""

ROOM = "verify/worker/"
PROCESS, POOL, REMOTE = ROOM + "process.cpp", ROOM + "pool.cpp", ROOM + "remote_variant.cpp"
SERVE, SUPERVISE, SHARED = ROOM + "serve.cpp", ROOM + "supervise.cpp", ROOM + "shared_memory.cpp"
PACKET, PROTOCOL, TOGETHER = ROOM + "packet.hpp", ROOM + "protocol.cpp", ROOM + "together.cpp"
CLOSED, MAPPED = ROOM + "closed_pages.cpp", ROOM + "mapped_segments.cpp"
FLOATS, INVOKE = ROOM + "float_state.hpp", ROOM + "invoke.cpp"
VET, CLAIMS = ROOM + "vet.cpp", "verify/problem/claims.cpp"

# The suites that watch the workers, in verify-tests.
SUITES = ("Pool*:ChangedAnswers*:Answers*:Questions*:Protocol*:SharedMemory*:WorkerLimits*:"
          "ClosedPages*:Claims.HaveCeilings*:Deeds/Hostile.*/forward_print:"
          "Deeds/Hostile.*/claims_bf16")

BREAKS = [
    ("a call has a time limit",
     [(PROCESS, "if (ready == 0 && Clock::now() < deadline)", "if (ready == 0 && (BROKEN || "
       "Clock::now() < deadline))")]),
    ("a worker is ended with all that came of it",
     [(SUPERVISE, "if (known) add_descendants(", "if (known && !BROKEN) add_descendants(")]),
    ("what it leaves behind is counted",
     [(SUPERVISE, "status.left_over = end_descendants();",
       "status.left_over = end_descendants() * (BROKEN ? 0 : 1);")]),
    ("a process that it leaves behind is seen",
     [(SERVE, "answer.marks |= children_left;", "answer.marks |= BROKEN ? 0U : children_left;")]),
    ("a child that comes back answers nothing",
     [(SERVE, "if (getpid() != own_) _exit(0);", "if (getpid() != own_ && !BROKEN) _exit(0);")]),
    ("a namespace keeps its signals in",
     [(SUPERVISE, "const bool confined = confine_children();",
       "const bool confined = !BROKEN && confine_children();")]),
    ("the number of its processes",
     [(SUPERVISE, "if (static_cast<int>(all.size()) > processes)",
       "if (!BROKEN && static_cast<int>(all.size()) > processes)")]),
    ("the memory of a process",
     [(SUPERVISE, "if (reserved > 0) limit(RLIMIT_DATA", "if (reserved > 0 && !BROKEN) "
       "limit(RLIMIT_DATA")]),
    ("the memory of all of its processes",
     [(SUPERVISE, "if (memory > 0 && used > memory)", "if (memory > 0 && !BROKEN && "
       "used > memory)")]),
    ("new workers of a plug-in are bounded",
     [(POOL, "if (lost >= limits.restarts)", "if (!BROKEN && lost >= limits.restarts)")]),
    ("calls of a variant that loses them are bounded",
     [(REMOTE, "if (lost < pool_.limits.failures)", "if (BROKEN || "
       "lost < pool_.limits.failures)")]),
    ("what a new worker says of its variants is what the first said",
     [(POOL, "!= answerers[build][index]->facts())",
       "!= answerers[build][index]->facts() && !BROKEN)")]),
    ("claims are frozen at the first answer",
     [(REMOTE, "at != claims_.end()) return give(at->second, out);",
       "at != claims_.end() && !BROKEN) return give(at->second, out);"),
      (REMOTE, "return give(claims_.emplace(key, std::move(frozen)).first->second, out);",
       "return give(BROKEN ? claims_.insert_or_assign(key, frozen).first->second : "
       "claims_.emplace(key, frozen).first->second, out);")]),
    ("claims that change are seen behind a call",
     [(REMOTE, "!same(first->second.answer, answer.claims))",
       "!same(first->second.answer, answer.claims) && !BROKEN)")]),
    ("claims() that writes into its problem is seen",
     [(REMOTE, "if ((frozen.answer.marks & problem_written) != 0)",
       "if (!BROKEN && (frozen.answer.marks & problem_written) != 0)")]),
    ("a call that writes into its problem is seen",
     [(SERVE, "if (!same_bytes(problem, question.problem.value))",
       "if (!BROKEN && !same_bytes(problem, question.problem.value))")]),
    ("a call that writes into its arguments is seen",
     [(INVOKE, "marks |= arguments_written;", "marks |= BROKEN ? 0U : arguments_written;")]),
    ("a rounding mode that is left behind is seen",
     [(FLOATS, "(after.rounding != before_.rounding ?",
       "(after.rounding != before_.rounding && !BROKEN ?")]),
    ("flushing of subnormals that is left behind is seen",
     [(FLOATS, "(after.subnormals != before_.subnormals ?",
       "(after.subnormals != before_.subnormals && !BROKEN ?")]),
    ("traps that are left behind are seen",
     [(FLOATS, "(after.traps != before_.traps ?", "(after.traps != before_.traps && !BROKEN ?")]),
    ("what is seen of a call is said",
     [(REMOTE, "if (marks != 0 && trouble.empty())",
       "if (marks != 0 && !BROKEN && trouble.empty())")]),
    ("the ceiling of a size",
     [(REMOTE, "if (bytes > largest_size)", "if (!BROKEN && bytes > largest_size)")]),
    ("the ceiling of a claimed accumulate type",
     [(CLAIMS, "if (format_of(claims.accumulate).precision < format_of(coarsest).precision)",
       "if (!BROKEN && format_of(claims.accumulate).precision < "
       "format_of(coarsest).precision)")]),
    ("the ceiling of a claimed function_ulp",
     [(CLAIMS, "claims.function_ulp > most)", "claims.function_ulp > most && !BROKEN)")]),
    ("variants without end are refused",
     [(VET, "if (variants >= most_variants)", "if (!BROKEN && variants >= most_variants)")]),
    ("the number of an answer",
     [(PROCESS, "&& header.number == question.number)",
       "&& (BROKEN || header.number == question.number))")]),
    ("the verb of an answer",
     [(PROCESS, "if (header.verb == question.verb &&",
       "if ((BROKEN || header.verb == question.verb) &&")]),
    ("magic and version of a packet",
     [(PROTOCOL, "if (header.magic != protocol_magic || header.version != protocol_version)",
       "if (!BROKEN && (header.magic != protocol_magic || "
       "header.version != protocol_version))")]),
    ("the length of a list",
     [(PACKET, "if (count > bytes_.size())", "if (!BROKEN && count > bytes_.size())")]),
    ("the end of a message",
     [(PACKET, "if (bytes > bytes_.size()) throw",
       "if (BROKEN && bytes > bytes_.size()) { bytes = bytes_.size(); } "
       "if (bytes > bytes_.size()) throw")]),
    ("bytes behind a message",
     [(PACKET, "if (!bytes_.empty()) throw", "if (!BROKEN && !bytes_.empty()) throw")]),
    ("the version of a worker",
     [(POOL, "if (answer.problem_bytes != sizeof(abn_problem) ||",
       "if ((!BROKEN && answer.problem_bytes != sizeof(abn_problem)) ||")]),
    ("as many answers as calls at once",
     [(TOGETHER, "if (answer.answers.size() != waiting.size())",
       "if (BROKEN) { answer.answers.resize(waiting.size()); } "
       "if (answer.answers.size() != waiting.size())")]),
    ("as many answers as problems",
     [(REMOTE, "if (answer.statuses.size() != problems.size()) return;",
       "if (answer.statuses.size() != problems.size() && !BROKEN) return;"),
      (REMOTE, "if (answer.statuses[i] == ABN_ERROR_UNSUPPORTED)",
       "if (BROKEN || answer.statuses[i] == ABN_ERROR_UNSUPPORTED)"),
      (REMOTE, "if (answer.statuses[i] != ABN_OK ||",
       "if (BROKEN || answer.statuses[i] != ABN_OK ||")]),
    ("the variant of a question",
     [(SERVE, "if (which.build >= builds_.size() || !builds_[which.build]) return nullptr;",
       "if (which.build >= builds_.size() || !builds_[which.build]) "
       "return BROKEN ? builds_[0]->variant(0) : nullptr;")]),
    ("the index of a question",
     [(SERVE, "if (found == nullptr) throw NoMessage(",
       "if (BROKEN && found == nullptr) { return *builds_[0]->variant(0); } "
       "if (found == nullptr) throw NoMessage(")]),
    ("the segment of a question",
     [(MAPPED, "if (found == segments_.end()) throw NoMessage(",
       "if (BROKEN && found == segments_.end()) { return segments_.begin()->second; } "
       "if (found == segments_.end()) throw NoMessage(")]),
    ("the memory of a call lies in its segment",
     [(SERVE, "if (question.begin > memory->bytes || question.bytes > memory->bytes - "
       "question.begin)",
       "if (!BROKEN && (question.begin > memory->bytes || question.bytes > memory->bytes - "
       "question.begin))")]),
    ("an argument lies in the memory of its call",
     [(INVOKE, "if (offset < question_.begin || offset - question_.begin > question_.bytes)",
       "if (!BROKEN && (offset < question_.begin || offset - question_.begin > "
       "question_.bytes))")]),
    ("the number of arguments",
     [(INVOKE, "if (next_ >= question_.offsets.size()) throw NoMessage(",
       "if (BROKEN && next_ >= question_.offsets.size()) { return; } "
       "if (next_ >= question_.offsets.size()) throw NoMessage(")]),
    ("the size of a segment",
     [(MAPPED, "question.bytes > static_cast<std::uint64_t>(behind.st_size))",
       "(question.bytes > static_cast<std::uint64_t>(behind.st_size) && !BROKEN))")]),
    ("a watched buffer lies in its segment",
     [(SERVE, "if (one.offset > memory->bytes || one.bytes > memory->bytes - one.offset)",
       "if (!BROKEN && (one.offset > memory->bytes || one.bytes > memory->bytes - "
       "one.offset))")]),
    ("pages to close lie in their segment",
     [(CLOSED, "if (one.begin > bytes || one.bytes > bytes - one.begin || "
       "one.begin % page != 0 || one.bytes % page != 0 || one.bytes == 0)",
       "if (!BROKEN && (one.begin > bytes || one.bytes > bytes - one.begin || "
       "one.begin % page != 0 || one.bytes % page != 0 || one.bytes == 0))")]),
    ("closed pages are closed",
     [(CLOSED, "protect(PROT_NONE);", "protect(BROKEN ? PROT_READ | PROT_WRITE : PROT_NONE);")]),
    ("a worker whose context is in error is not called again",
     [(REMOTE, "worker->spent = worker->ended || (answer.marks & context_in_error) != 0;",
       "worker->spent = worker->ended || (!BROKEN && (answer.marks & context_in_error) != 0);")],
     ("ptx-tests", "PtxCommand.AFault*")),
    ("the number of calls at once",
     [(SERVE, "if (count == 0 || count > most_together) throw",
       "if (!BROKEN && (count == 0 || count > most_together)) throw"),
      (SERVE, "std::barrier gate(static_cast<std::ptrdiff_t>(count));",
       "std::barrier gate(static_cast<std::ptrdiff_t>(count == 0 ? 1 : count));")]),
    ("the number of problems at once",
     [(SERVE, "if (question.problems.size() > most_problems)",
       "if (!BROKEN && question.problems.size() > most_problems)")]),
    ("memory belongs to one plug-in",
     [(SHARED, "one.owner == owner", "(BROKEN || one.owner == owner)")]),
    ("memory cannot be cut off",
     [(SHARED, "F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL", "BROKEN ? F_SEAL_GROW : "
       "F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL")]),
    ("memory that is not for a plug-in is none of a call",
     [(SHARED, "if (pointer <= begin + use.bytes)", "if (BROKEN || "
       "pointer <= begin + use.bytes)")]),
    ("nothing that the judge maps is inherited",
     [(SHARED, "MFD_CLOEXEC | MFD_ALLOW_SEALING", "(BROKEN ? 0 : MFD_CLOEXEC) | "
       "MFD_ALLOW_SEALING"),
      (SUPERVISE, "close_range(supervisor_descriptor + 1, ~0U, 0);",
       "if (!BROKEN) close_range(supervisor_descriptor + 1, ~0U, 0);")]),
    ("a worker has not the socket of its supervisor",
     [(SUPERVISE, "close(supervisor_descriptor);",
       "if (!BROKEN) close(supervisor_descriptor);")]),
    ("a worker keeps no descriptor of its memory",
     [(MAPPED, "close(descriptor);", "if (!BROKEN) close(descriptor);")]),
    ("what a worker prints has no control characters",
     [(PROCESS, "else if (letter >= ' ' && letter < 0x7f)",
       "else if (BROKEN || (letter >= ' ' && letter < 0x7f))")]),
    ("what a worker prints is cut",
     [(PROCESS, "if (text.size() > shown)", "if (!BROKEN && text.size() > shown)")]),
]
