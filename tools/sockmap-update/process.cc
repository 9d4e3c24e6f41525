// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <memory>

#include "../lib/capability.h"
#include "../lib/cli.h"

bool is_socket(const Fd &fd)
{
	struct stat st;

	return fstat(fd.get(), &st) == 0 && S_ISSOCK(st.st_mode);
}

// Yama is a security module that a kernel may lack.
static bool yama_restricts()
{
	Fd file(open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC));
	char scope = '0';

	return file && read(file.get(), &scope, 1) == 1 && scope > '0';
}

// Copying an fd is as tracing the process.
static std::string why_not_copied(int pid)
{
	struct stat st;
	std::string reason = "it holds rights that you do not have";

	// The kernel makes /proc/PID root's where the process has changed its rights.
	if (stat(("/proc/" + std::to_string(pid)).c_str(), &st) == 0 && st.st_uid != geteuid())
		reason = "it is not your process";
	else if (yama_restricts())
		reason = "kernel.yama.ptrace_scope forbids it";
	return needs({CAP_SYS_PTRACE}, CountsFor::Owner, reason + ": ");
}

Fd socket_of_process(int pid, int fd)
{
	std::string process = "process " + std::to_string(pid);
	std::string what = "get fd " + std::to_string(fd) + " of " + process;
	Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));

	// For the id of a thread it is EINVAL, and since Linux 6.15 ENOENT.
	if (!pidfd && (errno == EINVAL || errno == ENOENT))
		fail("open " + process, "it is a thread, not a process");
	if (!pidfd)
		fail(errno, "open " + process);

	Fd sock(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), fd, 0)));
	if (!sock)
		fail(errno, what, errno == EPERM ? why_not_copied(pid) : "");
	if (!is_socket(sock))
		fail(what, "not a socket");
	return sock;
}

struct CloseDir {
	void operator()(DIR *dir) const
	{
		closedir(dir);
	}
};
using Dir = std::unique_ptr<DIR, CloseDir>;

std::vector<std::string> numbers_in(const std::string &path, bool &denied)
{
	std::vector<std::string> found;
	Dir dir(opendir(path.c_str()));

	if (!dir && errno == EACCES)
		denied = true;
	while (const struct dirent *entry = dir ? readdir(dir.get()) : nullptr)
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
			found.emplace_back(entry->d_name);
	return found;
}

std::string file_of(const std::string &fds, const std::string &fd, bool &denied)
{
	std::array<char, 64> target{};
	std::string path = fds;

	path += "/" + fd;
	if (readlink(path.c_str(), target.data(), target.size() - 1) >= 0)
		return target.data();
	denied |= errno == EACCES;
	return {};
}
