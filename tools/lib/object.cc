// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "capability.h"
#include "cli.h"

const char *kind_name(ObjectKind kind)
{
	switch (kind) {
	case ObjectKind::Map:
		return "map";
	case ObjectKind::Prog:
		return "program";
	case ObjectKind::Link:
		return "link";
	}
	return "object";
}

// What an fd of the bpf(2) system call is, by the name that the kernel gives its inode.
static std::string inode_name(int fd)
{
	char name[64] = {};
	std::string link = "/proc/self/fd/" + std::to_string(fd);

	if (readlink(link.c_str(), name, sizeof(name) - 1) < 0)
		fail(errno, "query the kind of an object");
	return name;
}

bool is_kind(const Fd &fd, ObjectKind kind)
{
	std::string name = inode_name(fd.get());

	switch (kind) {
	case ObjectKind::Map:
		return name == "anon_inode:bpf-map";
	case ObjectKind::Prog:
		return name == "anon_inode:bpf-prog";
	case ObjectKind::Link:
		return name == "anon_inode:bpf_link" || name == "anon_inode:bpf-link";
	}
	return false;
}

bool on_bpffs(const std::string &path)
{
	struct statfs fs;

	return statfs(path.c_str(), &fs) == 0 && static_cast<__u32>(fs.f_type) == BPF_FS_MAGIC;
}

std::string why_eperm(int err)
{
	return why_denied(err, {CAP_BPF}, CountsFor::Bpf, "",
			  ": see kernel.unprivileged_bpf_disabled");
}

void fail_to_replace(int err, const Fd &link, __u32 prog_id, const std::string &what)
{
	if (__u32 id = link_info(link).prog_id; err == EPERM && id != prog_id)
		fail(what,
		     "it holds program " + std::to_string(id) + ", not " + std::to_string(prog_id));
	if (err == ENOLINK)
		fail(what, "it was detached meanwhile");
	fail(err, what, why_eperm(err));
}

Fd open_pinned(ObjectKind kind, const std::string &path, bool read_only)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = read_only ? __u32{BPF_F_RDONLY} : 0);
	std::string what = std::string("open ") + kind_name(kind) + " " + quote(path);
	struct stat st;

	if (stat(path.c_str(), &st))
		fail(errno, what);
	if (!on_bpffs(path))
		fail(what, "not on a bpffs");
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);

	Fd fd(bpf_obj_get_opts(path.c_str(), &opts));
	if (!fd)
		fail(errno, what, why_eperm(errno));
	if (!is_kind(fd, kind))
		fail(what, std::string("not a ") + kind_name(kind));
	return fd;
}

Fd open_by_id(ObjectKind kind, __u32 id)
{
	Fd fd;

	switch (kind) {
	case ObjectKind::Map:
		fd = Fd(bpf_map_get_fd_by_id(id));
		break;
	case ObjectKind::Prog:
		fd = Fd(bpf_prog_get_fd_by_id(id));
		break;
	case ObjectKind::Link:
		fd = Fd(bpf_link_get_fd_by_id(id));
		break;
	}
	if (!fd)
		fail(errno, std::string("open ") + kind_name(kind) + " " + std::to_string(id),
		     why_denied(errno, {CAP_SYS_ADMIN}, CountsFor::Bpf, "an id "));
	return fd;
}

Fd open_prog(const std::string &which, const std::string &name)
{
	if (is_digits(which))
		return open_by_id(ObjectKind::Prog, parse_number(which, name, 1, UINT32_MAX));
	return open_pinned(ObjectKind::Prog, which);
}

Fd open_prog_of_type(const std::string &path, __u32 type)
{
	Fd prog = open_pinned(ObjectKind::Prog, path);
	__u32 its_type = prog_info(prog).type;

	if (its_type != type)
		fail("open program " + quote(path),
		     "its type is " + prog_type_name(its_type) + ", not " + prog_type_name(type));
	return prog;
}

template <typename Info> static Info get_info(const Fd &fd, const char *kind)
{
	Info info;
	__u32 size = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (bpf_obj_get_info_by_fd(fd.get(), &info, &size))
		fail(errno, std::string("query ") + kind);
	return info;
}

struct bpf_map_info map_info(const Fd &map)
{
	return get_info<struct bpf_map_info>(map, "map");
}

struct bpf_prog_info prog_info(const Fd &prog)
{
	return get_info<struct bpf_prog_info>(prog, "program");
}

struct bpf_link_info link_info(const Fd &link)
{
	return get_info<struct bpf_link_info>(link, "link");
}

std::vector<__u32> prog_map_ids(const Fd &prog)
{
	std::vector<__u32> ids(prog_info(prog).nr_map_ids);
	struct bpf_prog_info info;
	__u32 size = sizeof(info);

	memset(&info, 0, sizeof(info));
	info.nr_map_ids = static_cast<__u32>(ids.size());
	info.map_ids = reinterpret_cast<__u64>(ids.data());
	if (bpf_obj_get_info_by_fd(prog.get(), &info, &size))
		fail(errno, "query the maps of a program");
	ids.resize(info.nr_map_ids);
	return ids;
}

__u32 btf_of_map_user(__u32 map_id)
{
	__u32 id = 0;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		Fd prog(bpf_prog_get_fd_by_id(id));

		if (!prog && errno == ENOENT) // it went away meanwhile
			continue;
		if (!prog)
			return 0;
		__u32 btf_id = prog_info(prog).btf_id;
		if (!btf_id)
			continue;
		for (__u32 used : prog_map_ids(prog))
			if (used == map_id)
				return btf_id;
	}
	return 0;
}

std::string object_name(const char (&name)[BPF_OBJ_NAME_LEN])
{
	return {name, strnlen(name, sizeof(name))};
}

std::string map_type_name(__u32 type)
{
	const char *name = libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(type));

	return name ? name : "type " + std::to_string(type);
}

std::string prog_type_name(__u32 type)
{
	const char *name = libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(type));

	return name ? name : "type " + std::to_string(type);
}

std::string cookie_text(__u64 cookie)
{
	char text[24];

	snprintf(text, sizeof(text), "%llx", static_cast<unsigned long long>(cookie));
	return text;
}
