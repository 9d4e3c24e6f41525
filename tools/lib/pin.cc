// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include "cli.h"

const char *kind_name(Kind kind)
{
	switch (kind) {
	case Kind::Map:
		return "map";
	case Kind::Prog:
		return "program";
	case Kind::Link:
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
		return {};
	return name;
}

static bool is_kind(const Fd &fd, Kind kind)
{
	std::string name = inode_name(fd.get());

	switch (kind) {
	case Kind::Map:
		return name == "anon_inode:bpf-map";
	case Kind::Prog:
		return name == "anon_inode:bpf-prog";
	case Kind::Link:
		return name == "anon_inode:bpf_link" || name == "anon_inode:bpf-link";
	}
	return false;
}

static bool on_bpffs(const std::string &path)
{
	struct statfs fs;

	return statfs(path.c_str(), &fs) == 0 && static_cast<__u32>(fs.f_type) == BPF_FS_MAGIC;
}

// Why bpf(2) may have said EPERM, to somebody who may open the pin.
static std::string why_eperm(int err)
{
	return err == EPERM ? "needs CAP_BPF: see kernel.unprivileged_bpf_disabled" : "";
}

Fd open_pinned(Kind kind, const std::string &path)
{
	std::string what = std::string("open ") + kind_name(kind) + " " + quote(path);
	struct stat st;

	if (stat(path.c_str(), &st))
		fail(errno, what);
	if (!on_bpffs(path))
		fail(what, "not on a bpffs");
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);

	Fd fd(bpf_obj_get(path.c_str()));
	if (!fd)
		fail(errno, what, why_eperm(errno));
	if (!is_kind(fd, kind))
		fail(what, std::string("not a ") + kind_name(kind));
	return fd;
}

Fd open_by_id(Kind kind, __u32 id)
{
	Fd fd;

	switch (kind) {
	case Kind::Map:
		fd = Fd(bpf_map_get_fd_by_id(id));
		break;
	case Kind::Prog:
		fd = Fd(bpf_prog_get_fd_by_id(id));
		break;
	case Kind::Link:
		fd = Fd(bpf_link_get_fd_by_id(id));
		break;
	}
	if (!fd)
		fail(errno, std::string("open ") + kind_name(kind) + " " + std::to_string(id),
		     errno == EPERM ? "an id needs CAP_SYS_ADMIN" : "");
	return fd;
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

mode_t parse_mode(const std::string &text)
{
	if (text.empty() || text.size() > 4 ||
	    text.find_first_not_of("01234567") != std::string::npos)
		throw UsageError("MODE " + quote(text) + " is not an octal mode");
	mode_t mode = static_cast<mode_t>(strtoul(text.c_str(), nullptr, 8));
	if (mode > 0777)
		throw UsageError("MODE " + quote(text) + " is above 0777");
	return mode;
}

void parse_owner(const std::string &text, Access &access)
{
	size_t colon = text.find(':');
	std::string user = text.substr(0, colon);

	if (user.empty())
		throw UsageError("USER[:GROUP] " + quote(text) + " names no user");
	if (const struct passwd *entry = getpwnam(user.c_str()))
		access.uid = entry->pw_uid;
	else if (user.find_first_not_of("0123456789") == std::string::npos)
		access.uid = number(user, "USER", 0, UINT_MAX - 1);
	else
		throw UsageError("no user is called " + quote(user));
	if (colon == std::string::npos)
		return;

	std::string group = text.substr(colon + 1);
	if (group.empty())
		throw UsageError("USER[:GROUP] " + quote(text) + " names no group");
	if (const struct group *entry = getgrnam(group.c_str()))
		access.gid = entry->gr_gid;
	else if (group.find_first_not_of("0123456789") == std::string::npos)
		access.gid = number(group, "GROUP", 0, UINT_MAX - 1);
	else
		throw UsageError("no group is called " + quote(group));
}

std::string parent_of(const std::string &path)
{
	size_t slash = path.find_last_of('/');

	if (slash == std::string::npos)
		return ".";
	return slash ? path.substr(0, slash) : "/";
}

void check_bpffs(const std::string &dir, const std::string &what)
{
	struct stat st;

	if (stat(dir.c_str(), &st))
		fail(errno, what, "directory " + quote(dir));
	if (!S_ISDIR(st.st_mode))
		fail(ENOTDIR, what, "directory " + quote(dir));
	if (!on_bpffs(dir))
		fail(what, "not on a bpffs");
}

// Takes back what pin_all() has done so far, unless it came to its end.
class Undo
{
public:
	Undo() = default;
	Undo(const Undo &) = delete;
	Undo &operator=(const Undo &) = delete;
	~Undo()
	{
		for (const auto &[temporary, path] : exchanged)
			renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(),
				  RENAME_EXCHANGE);
		for (const std::string &path : made)
			unlink(path.c_str());
	}

	std::vector<std::string> made;				    // pins to be removed
	std::vector<std::pair<std::string, std::string>> exchanged; // pins to be put back
};

static void set_access(const Pin &pin, const std::string &path, const Access &access)
{
	std::string what = "pin " + quote(pin.path);

	if (access.mode && chmod(path.c_str(), *access.mode))
		fail(errno, what, "set its mode");
	// -1 leaves an owner as it is.
	if ((access.uid || access.gid) &&
	    chown(path.c_str(), access.uid.value_or(-1), access.gid.value_or(-1)))
		fail(errno, what, "set its owner");
}

void check_pin_path(const std::string &path, bool replace)
{
	std::string what = "pin " + quote(path);
	std::string name = path.substr(path.find_last_of('/') + 1);
	struct stat st;

	check_bpffs(parent_of(path), what);
	if (name.empty())
		fail(EISDIR, what);
	if (name.find('.') != std::string::npos)
		fail(what, "bpffs allows no dot in a name");
	if (lstat(path.c_str(), &st))
		return;
	if (!replace)
		fail(EEXIST, what);
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);
}

void pin_all(const std::vector<Pin> &pins, const Access &access, bool replace)
{
	// A pin that is new and needs no more rights is made in one step; any
	// other is made beside its place, and moved there when it is complete.
	bool one_step = !replace && !access.mode && !access.uid && !access.gid;
	std::string suffix = one_step ? "" : "~" + std::to_string(getpid());
	Undo undo;

	for (const Pin &pin : pins)
		check_pin_path(pin.path, replace);

	for (const Pin &pin : pins) {
		std::string path = pin.path + suffix;

		if (bpf_obj_pin(pin.object.get(), path.c_str()))
			fail(errno, "pin " + quote(pin.path), why_eperm(errno));
		undo.made.push_back(path);
		set_access(pin, path, access);
	}

	for (size_t i = 0; !one_step && i < pins.size(); i++) {
		const std::string &path = pins[i].path;
		std::string temporary = path + suffix;

		if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(),
			      RENAME_NOREPLACE) == 0) {
			undo.made[i] = path;
			continue;
		}
		if (errno != EEXIST || !replace)
			fail(errno, "pin " + quote(path));
		// The old pin takes the temporary's name, and goes with it at the end.
		if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(),
			      RENAME_EXCHANGE) == 0) {
			undo.exchanged.emplace_back(temporary, path);
			continue;
		}
		// Before Linux 5.16 bpffs cannot exchange.
		if (errno != EINVAL || rename(temporary.c_str(), path.c_str()))
			fail(errno, "pin " + quote(path));
		undo.made[i] = path;
	}

	for (const auto &[temporary, path] : undo.exchanged)
		unlink(temporary.c_str());
	undo.exchanged.clear();
	undo.made.clear();
}
