// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The contract that all helpers share towards who calls them: exit status,
// errors in one line, strict numbers.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

// Wrong usage: exit status 2, and a pointer to --help.
struct UsageError : std::runtime_error {
	using std::runtime_error::runtime_error;
};

// ENOTSUPP of include/linux/errno.h, which the kernel should keep to itself.
constexpr int enotsupp = 524;

// The operation failed: exit status 1. `what` says what was being done to
// which object, as in "open '/path'"; the reason is that of `err`, an errno, and
// `cause` is added in brackets where errno alone misleads.
[[noreturn]] void fail(int err, const std::string &what, const std::string &cause = {});

// The operation failed for a reason that is no errno: "what: reason".
[[noreturn]] void fail(const std::string &what, const std::string &reason);

// A warning on stderr, in one line. The operation goes on.
void warn(const std::string &text);

// 'text', for messages. Bytes that are not printable are shown as \xNN.
std::string quote(std::string_view text);

// The whole of `text` as a number from min to max, in base 10 or 16: no sign, no
// white space, nothing behind it. In base 10, 0x… is taken too. `name` is what
// the message calls it. Throws UsageError.
uint64_t number(std::string_view text, const std::string &name, uint64_t min, uint64_t max,
		int base = 10);

// The argument of an option that must not be empty: "$UNSET" in a script must not
// mean the default. Throws UsageError.
std::string not_empty(const std::string &text, const std::string &option);

// Run a tool's body as main() does: set the name, silence libbpf, turn what it
// throws into one line and an exit status, and see that stdout was written.
int run(const char *name, int (*body)(int argc, char **argv), int argc, char **argv);

// See that what was printed is written, as run() does at the end: where a failure is
// still to be undone, or `cause` is to say what it does not undo.
void flush_stdout(const std::string &cause = {});

// Let libbpf say what it wants to, on stderr: --verbose.
void let_libbpf_speak();

// The name given to run().
const std::string &tool_name();

// What --version prints.
void print_version();

// getopt_long() met an option that it does not know, and has said so.
[[noreturn]] void bad_option();
