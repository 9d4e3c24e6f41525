// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "capability.h"

#include <linux/types.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

constexpr ino_t initial_userns = 0xEFFFFFFD; // PROC_USER_INIT_INO of <linux/proc_ns.h>

static std::string name_of(int capability)
{
	switch (capability) {
	case CAP_CHOWN:
		return "CAP_CHOWN";
	case CAP_DAC_READ_SEARCH:
		return "CAP_DAC_READ_SEARCH";
	case CAP_NET_ADMIN:
		return "CAP_NET_ADMIN";
	case CAP_SYS_PTRACE:
		return "CAP_SYS_PTRACE";
	case CAP_SYS_ADMIN:
		return "CAP_SYS_ADMIN";
	case CAP_PERFMON:
		return "CAP_PERFMON";
	case CAP_BPF:
		return "CAP_BPF";
	}
	return "capability " + std::to_string(capability);
}

static __u64 effective()
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	std::array<struct __user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};

	if (syscall(SYS_capget, &header, data.data()))
		return 0;
	return __u64{data[1].effective} << 32 | data[0].effective;
}

static bool in_initial_userns()
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) || st.st_ino == initial_userns;
}

// "A", "A and B", "A, B and C"
static std::string list(const std::vector<int> &capabilities)
{
	std::string text;

	for (size_t i = 0; i < capabilities.size(); i++) {
		if (i)
			text += i + 1 < capabilities.size() ? ", " : " and ";
		text += name_of(capabilities[i]);
	}
	return text;
}

std::string missing_capabilities(const std::vector<int> &capabilities, CountsFor counts)
{
	__u64 has = effective();
	std::vector<int> missing;

	if (counts == CountsFor::Bpf && !in_initial_userns())
		return list(capabilities) + " outside of this user namespace";
	if (counts == CountsFor::Bpf && has >> CAP_SYS_ADMIN & 1)
		return {};
	for (int capability : capabilities)
		if (!(has >> capability & 1))
			missing.push_back(capability);
	return list(missing);
}

// Linux before 5.11 counts the memory of maps and programs as locked, and says EPERM above the
// limit.
static bool memory_is_limited()
{
	struct utsname kernel;
	struct rlimit limit;

	// strverscmp() reads numbers in a name as numbers: 5.9 is before 5.11.
	return uname(&kernel) == 0 && strverscmp(kernel.release, "5.11") < 0 &&
	       getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

std::string needs(const std::vector<int> &capabilities, CountsFor counts,
		  const std::string &subject, const std::string &way_out)
{
	std::string missing = missing_capabilities(capabilities, counts);

	if (!missing.empty())
		return subject + "needs " + missing + way_out;
	if (counts == CountsFor::Bpf && memory_is_limited())
		return "needs more memory to lock: ulimit -l";
	if (!in_initial_userns())
		return subject + "needs " + list(capabilities) + " outside of this user namespace" +
		       way_out;
	return "no capability is missing: is it a security module or seccomp?";
}

std::string why_denied(int err, const std::vector<int> &capabilities, CountsFor counts,
		       const std::string &subject, const std::string &way_out)
{
	int before = errno;
	std::string why = err == EPERM ? needs(capabilities, counts, subject, way_out) : "";

	errno = before;
	return why;
}
