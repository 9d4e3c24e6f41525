// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

static std::string name;

[[noreturn]] void fail(int err, const std::string &what, const std::string &cause)
{
	if (err == enotsupp)
		err = EOPNOTSUPP;
	fail(what, strerror(err) + (cause.empty() ? "" : " (" + cause + ")"));
}

[[noreturn]] void fail(const std::string &what, const std::string &reason)
{
	throw std::runtime_error(what + ": " + reason);
}

std::string printable(std::string_view text, std::string_view keep)
{
	std::string out;

	out.reserve(text.size());
	for (unsigned char c : text) {
		if ((c >= 0x20 && c < 0x7f) || keep.find(static_cast<char>(c)) != keep.npos) {
			out += static_cast<char>(c);
			continue;
		}
		char hex[5];
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		out += hex;
	}
	return out;
}

std::string quote(std::string_view text)
{
	return "'" + printable(text) + "'";
}

void tell(std::string_view text, std::string_view keep)
{
	fprintf(stderr, "%s: %s\n", name.c_str(), printable(text, keep).c_str());
}

static std::vector<std::string> warnings_held;

void warn(const std::string &text)
{
	warnings_held.push_back("warning: " + text);
}

uint64_t parse_number(std::string_view text, const std::string &name, uint64_t min, uint64_t max,
		      int base)
{
	std::string_view digits = text;
	uint64_t value = 0;

	if (base == 10 && digits.starts_with("0x")) {
		digits.remove_prefix(2);
		base = 16;
	}
	auto [end, error] =
		std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
	if (error == std::errc::invalid_argument || end != digits.data() + digits.size())
		throw UsageError(name + " " + quote(text) +
				 (base == 16 && digits == text ? " is not a hexadecimal number"
							       : " is not a number"));
	if (error == std::errc::result_out_of_range || value < min || value > max)
		throw UsageError(name + " " + quote(text) + " is not between " +
				 std::to_string(min) + " and " + std::to_string(max));
	return value;
}

bool is_digits(std::string_view text)
{
	return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string require_nonempty(const std::string &text, const std::string &option)
{
	if (text.empty())
		throw UsageError(option + " is empty");
	return text;
}

constexpr std::string_view layout = "\n\t"; // which a text of several lines has
constexpr size_t longest_warning = 1023;

static bool print_log;
static std::vector<std::string> warnings;

static int take_log(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text = nullptr;

	if (level != LIBBPF_WARN && !print_log)
		return 0;
	if (vasprintf(&text, format, args) < 0)
		return 0;
	// It quotes names and the verifier, which quotes the object.
	if (level == LIBBPF_WARN)
		warnings.push_back(printable(
			std::string_view(text, std::min(strcspn(text, "\n"), longest_warning))));
	if (print_log)
		fputs(printable(text, layout).c_str(), stderr);
	free(text);
	return 0;
}

void log_libbpf()
{
	print_log = true;
}

const std::vector<std::string> &libbpf_warnings()
{
	return warnings;
}

void clear_libbpf_warnings()
{
	warnings.clear();
}

const std::string &tool_name()
{
	return name;
}

int next_option(int argc, char **argv, const char *letters, const struct option *options)
{
	char *text = nullptr;
	size_t size = 0;
	FILE *real = stderr;

	opterr = 0;
	int option = getopt_long(argc, argv, letters, options, nullptr);
	if (option != '?')
		return option;

	// Have getopt_long() say it: again from the first argument, and not on the terminal,
	// since it quotes the argument as it is.
	FILE *said = open_memstream(&text, &size);
	if (!said)
		throw std::bad_alloc();
	stderr = said;
	opterr = 1;
	optind = 0;
	do
		option = getopt_long(argc, argv, letters, options, nullptr);
	while (option != '?' && option != -1);
	stderr = real;
	fclose(said);
	std::string_view line(text, size);
	line.remove_prefix(std::min(name.size() + 2, line.size())); // "NAME: "
	line.remove_suffix(line.ends_with('\n'));
	std::string message(line);
	free(text);
	throw UsageError(message);
}

bool take_common_option(int option, CommonOptions &common, void (*usage)())
{
	switch (option) {
	case 'n':
		common.netns = require_nonempty(optarg, "--netns");
		return true;
	case 'j':
		common.json = true;
		return true;
	case 'p':
		common.json = common.pretty = true;
		return true;
	case 'v':
		common.verbose = true;
		log_libbpf();
		return true;
	case 'h':
		usage();
		return false;
	case 'V':
		printf("%s (hookset) %s\n", name.c_str(), HOOKSET_VERSION);
		return false;
	}
	throw std::logic_error("option " + std::to_string(option) + " has no case");
}

void write_out(std::string &out, size_t least)
{
	if (out.size() < least)
		return;
	fwrite(out.data(), 1, out.size(), stdout);
	out.clear();
}

void check_stdout()
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		fail(EBADF, "write to standard output");
	signal(SIGPIPE, SIG_IGN);
}

void flush_stdout(const std::string &cause)
{
	if (fflush(stdout) || ferror(stdout))
		fail(errno, "write to standard output", cause);
}

// Where standard input, output or error is closed, what is opened next would be taken
// for it. Now /dev/null is there, the wrong way round: to use it is EBADF, as before.
static void fill_standard_fds()
{
	for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int run_tool(const char *tool, int (*body)(int argc, char **argv), int argc, char **argv)
{
	fill_standard_fds();
	name = tool;
	if (argc > 0)
		argv[0] = name.data(); // getopt_long() begins its messages with it
	libbpf_set_print(take_log);

	try {
		int status = body(argc, argv);

		flush_stdout();
		for (const std::string &warning : warnings_held)
			tell(warning);
		return status;
	} catch (const UsageError &e) {
		tell(e.what());
		fprintf(stderr, "Try '%s --help'\n", tool);
		return 2;
	} catch (const std::bad_alloc &) {
		tell("out of memory");
		return 1;
	} catch (const std::exception &e) {
		tell(e.what(), layout); // the verifier's log has lines
		return 1;
	}
}
