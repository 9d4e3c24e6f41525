// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The contract that all helpers share towards who calls them: exit status,
// errors in one line, strict numbers.
#pragma once

#include <getopt.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

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

// Print "NAME: text" on stderr, in one line, printable but for `keep`. All messages of the tools
// go through here; so what the kernel or a library has put into a message is no risk.
void tell(std::string_view text, std::string_view keep = {});

// A warning on stderr, in one line. The operation goes on. It is printed when all is done: who
// fails is told why, in one line.
void warn(const std::string &text);

// The text in printable ASCII. Every other byte is shown as \xNN: control characters, since they
// act on the terminal, and all bytes from 0x80 on, as UTF-8 too has characters that act, or that
// look like others. Those in `keep` stay as they are.
std::string printable(std::string_view text, std::string_view keep = {});

// 'text', for messages, printable.
std::string quote(std::string_view text);

// The whole of `text` as a number from min to max, in base 10 or 16: no sign, no
// white space, nothing behind it. In base 10, 0x… is taken too. `name` is what
// the message calls it. Throws UsageError.
uint64_t parse_number(std::string_view text, const std::string &name, uint64_t min, uint64_t max,
		      int base = 10);

// Is the text a number in decimal, and so no name? No sign, no white space.
bool is_digits(std::string_view text);

// The argument of an option that must not be empty: "$UNSET" in a script must not
// mean the default. Throws UsageError.
std::string require_nonempty(const std::string &text, const std::string &option);

// Run a tool's body as main() does: set the name, silence libbpf, turn what it
// throws into one line and an exit status, and see that stdout was written.
int run_tool(const char *name, int (*body)(int argc, char **argv), int argc, char **argv);

// The options that all tools share; --json and --pretty only where a tool prints, --netns only
// where the network namespace matters.
struct CommonOptions {
	bool json = false;
	bool pretty = false; // then json is true, too
	bool verbose = false;
	std::string netns; // empty: our own
};

// getopt_long(), which throws UsageError with its message where it would print that itself.
int next_option(int argc, char **argv, const char *letters, const struct option *options);

// Take an option that next_option() has returned and the tool does not know itself: -n, -j, -p,
// -v, -h, -V. Returns false where --help or --version has been answered.
bool take_common_option(int option, CommonOptions &common, void (*usage)());

// Output is held back until there is so much of it, in bytes.
constexpr size_t output_buffer = 65536;

// Write `out` to standard output and clear it, if it holds at least `least` bytes.
// run_tool() sees whether it was written.
void write_out(std::string &out, size_t least = output_buffer);

// Fail, before any work is done, where what is to be printed after it cannot be: standard output is
// closed. Signals that it was closed meanwhile do not end the process.
void check_stdout();

// See that what was printed is written, as run_tool() does at the end: where a failure is
// still to be undone, or `cause` is to say what it does not undo.
void flush_stdout(const std::string &cause = {});

// Have libbpf's log printed on stderr: --verbose.
void log_libbpf();

// What libbpf has warned of since the last clear_libbpf_warnings(), oldest first, each
// without its end of line and cut at 1023 bytes. They are kept whether printed or not.
const std::vector<std::string> &libbpf_warnings();
void clear_libbpf_warnings();

// The name given to run_tool().
const std::string &tool_name();
