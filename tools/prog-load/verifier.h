// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Why the kernel's verifier has rejected a program.
#pragma once

#include <string>

// "rejected by the verifier (cause)", and the last lines of its log behind that, indented; all
// lines if `verbose`. Empty where the verifier has not run, as the log is empty.
std::string describe_rejection(const char *log, bool verbose);
