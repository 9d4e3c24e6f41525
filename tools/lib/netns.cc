// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include <cerrno>

#include "capability.h"
#include "cli.h"

static std::string path_of(const std::string &which)
{
	if (which.empty())
		return "/proc/self/ns/net";
	if (which.find('/') != std::string::npos)
		return which;
	// As for `ip`, a name that looks like a PID is a name.
	std::string named = "/run/netns/" + which;
	if (access(named.c_str(), F_OK) == 0)
		return named;
	if (is_digits(which))
		return "/proc/" + which + "/ns/net";
	return named;
}

Fd open_netns(const std::string &which)
{
	std::string what = "open network namespace " + quote(which);
	Fd netns(open(path_of(which).c_str(), O_RDONLY | O_CLOEXEC));
	struct statfs fs;

	if (!netns)
		fail(errno, what);
	// A file in /run/netns may be a plain one: no namespace is bound to it, or no longer.
	if (fstatfs(netns.get(), &fs) || fs.f_type != NSFS_MAGIC ||
	    ioctl(netns.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
		fail(what, "not a network namespace");
	return netns;
}

void enter_netns(const std::string &which)
{
	if (which.empty())
		return;
	if (setns(open_netns(which).get(), CLONE_NEWNET))
		fail(errno, "enter network namespace " + quote(which),
		     why_denied(errno, {CAP_SYS_ADMIN}, CountsFor::Owner));
}
