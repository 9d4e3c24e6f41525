// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>

static std::string name_;

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

void warn(const std::string &text)
{
	fprintf(stderr, "%s: warning: %s\n", name_.c_str(), text.c_str());
}

std::string quote(std::string_view text)
{
	std::string out = "'";

	for (unsigned char c : text) {
		if (c >= 0x20 && c != 0x7f) {
			out += static_cast<char>(c);
			continue;
		}
		char hex[5];
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		out += hex;
	}
	return out + "'";
}

uint64_t number(std::string_view text, const std::string &name, uint64_t min, uint64_t max,
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

std::string not_empty(const std::string &text, const std::string &option)
{
	if (text.empty())
		throw UsageError(option + " is empty");
	return text;
}

static int silent(enum libbpf_print_level, const char *, va_list)
{
	return 0;
}

static int speak(enum libbpf_print_level, const char *format, va_list args)
{
	return vfprintf(stderr, format, args);
}

void let_libbpf_speak()
{
	libbpf_set_print(speak);
}

const std::string &tool_name()
{
	return name_;
}

void print_version()
{
	printf("%s (hookset) %s\n", name_.c_str(), HOOKSET_VERSION);
}

// Thrown when the line that says what is wrong is already out.
struct Reported {
};

[[noreturn]] void bad_option()
{
	throw Reported();
}

static int misuse()
{
	fprintf(stderr, "Try '%s --help'\n", name_.c_str());
	return 2;
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

int run(const char *name, int (*body)(int argc, char **argv), int argc, char **argv)
{
	fill_standard_fds();
	name_ = name;
	if (argc > 0)
		argv[0] = name_.data(); // getopt_long() begins its messages with it
	libbpf_set_print(silent);

	try {
		int status = body(argc, argv);

		flush_stdout();
		return status;
	} catch (const UsageError &e) {
		fprintf(stderr, "%s: %s\n", name, e.what());
		return misuse();
	} catch (const Reported &) {
		return misuse();
	} catch (const std::bad_alloc &) {
		fprintf(stderr, "%s: out of memory\n", name);
		return 1;
	} catch (const std::exception &e) {
		fprintf(stderr, "%s: %s\n", name, e.what());
		return 1;
	}
}
