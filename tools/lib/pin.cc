// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pin.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <iterator>
#include <memory>

#include "capability.h"
#include "cli.h"
#include "object.h"

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
	else if (is_digits(user))
		access.uid = parse_number(user, "USER", 0, UINT_MAX - 1);
	else
		throw UsageError("no user is called " + quote(user));
	if (colon == std::string::npos)
		return;

	std::string group = text.substr(colon + 1);
	if (group.empty())
		throw UsageError("USER[:GROUP] " + quote(text) + " names no group");
	if (const struct group *entry = getgrnam(group.c_str()))
		access.gid = entry->gr_gid;
	else if (is_digits(group))
		access.gid = parse_number(group, "GROUP", 0, UINT_MAX - 1);
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

static std::string name_of(const std::string &path)
{
	return path.substr(path.find_last_of('/') + 1);
}

// Open a directory on a bpffs. All that is done in it goes by this fd: whoever may write in
// a directory above it could put another one at its path meanwhile.
static Fd open_bpffs(const std::string &dir, const std::string &what)
{
	Fd fd(open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
	struct statfs fs;

	if (!fd || fstatfs(fd.get(), &fs))
		fail(errno, what, "directory " + quote(dir));
	if (static_cast<__u32>(fs.f_type) != BPF_FS_MAGIC)
		fail(what, "not on a bpffs");
	return fd;
}

void check_bpffs(const std::string &dir, const std::string &what)
{
	open_bpffs(dir, what);
}

// The directory in which to pin at `path`, if that can be done.
static Fd open_place(const std::string &path, bool replace)
{
	std::string what = "pin " + quote(path);
	std::string name = name_of(path);
	Fd dir = open_bpffs(parent_of(path), what);
	struct stat st;

	if (faccessat(dir.get(), ".", W_OK | X_OK, 0))
		fail(errno, what);
	if (name.empty())
		fail(EISDIR, what);
	if (name.find('.') != std::string::npos)
		fail(what, "bpffs allows no dot in a name");
	if (fstatat(dir.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW))
		return dir;
	if (!replace)
		fail(EEXIST, what);
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);
	return dir;
}

void check_pin_path(const std::string &path, bool replace)
{
	open_place(path, replace);
}

static std::string without_slashes(std::string dir)
{
	while (dir.size() > 1 && dir.back() == '/')
		dir.pop_back();
	return dir;
}

void check_pin_directory(const std::string &dir)
{
	std::string what = "make directory " + quote(dir);
	std::string bare = without_slashes(dir);

	if (access(dir.c_str(), F_OK) == 0) {
		check_bpffs(dir, "pin in " + quote(dir));
		return;
	}
	check_bpffs(parent_of(bare), what);
	if (name_of(bare).find('.') != std::string::npos)
		fail(what, "bpffs allows no dot in a name");
}

static void pin_in(const Fd &dir, const std::string &name, const Fd &object,
		   const std::string &what)
{
	std::string path = "/proc/self/fd/" + std::to_string(dir.get()) + "/" + name;

	if (bpf_obj_pin(object.get(), path.c_str()))
		fail(errno, what, why_eperm(errno));
}

// While pins are on their way, a signal to end waits until they are all there, or gone.
// SIGPIPE is one: the report may go to a pipe that nobody reads.
class SignalsHeld
{
public:
	SignalsHeld()
	{
		sigset_t held;

		sigemptyset(&held);
		for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE})
			sigaddset(&held, signal);
		sigprocmask(SIG_BLOCK, &held, &before_);
	}
	SignalsHeld(const SignalsHeld &) = delete;
	SignalsHeld &operator=(const SignalsHeld &) = delete;
	~SignalsHeld()
	{
		sigprocmask(SIG_SETMASK, &before_, nullptr);
	}

private:
	sigset_t before_;
};

// A file of a directory that somebody else may write in, as long as it is the same one.
static bool is_inode(const Fd &dir, const std::string &name, const struct stat &inode)
{
	struct stat st;

	return fstatat(dir.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == inode.st_ino && st.st_dev == inode.st_dev;
}

static struct stat stat_of(const Fd &dir, const std::string &name, const std::string &what)
{
	struct stat st;

	if (fstatat(dir.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW))
		fail(errno, what);
	return st;
}

static bool is_empty(const Fd &dir, const std::string &what)
{
	std::string path = "/proc/self/fd/" + std::to_string(dir.get());
	std::unique_ptr<DIR, int (*)(DIR *)> stream(opendir(path.c_str()), closedir);
	int entries = 0;

	if (!stream)
		fail(errno, what);
	errno = 0;
	while (readdir(stream.get()))
		entries++;
	if (errno)
		fail(errno, what);
	return entries == 2; // . and ..
}

// A new directory that only this user can write in, TOOL~RANDOM in the directory where pins
// are to go, or in which a directory of them is to be. The pins are made and get their owner
// and mode here, where nobody can put another file in their place: not even the owner of the
// directory around, who can no more than rename or remove this one.
class Staging
{
public:
	Staging(const std::string &parent, const std::string &what)
	    : parent_path_(parent), parent_(open_bpffs(parent, what))
	{
		unsigned int random = 0;
		char digits[16];

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			fail(errno, what);
		snprintf(digits, sizeof(digits), "~%08x", random);
		name_ = tool_name() + digits;
		if (mkdirat(parent_.get(), name_.c_str(), 0755))
			fail(errno, what);
		try {
			open_made(what);
		} catch (...) {
			struct stat st;

			// Not another's, which is there instead.
			if (fstatat(parent_.get(), name_.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			    st.st_uid == geteuid())
				unlinkat(parent_.get(), name_.c_str(), AT_REMOVEDIR);
			throw;
		}
	}
	Staging(const Staging &) = delete;
	Staging &operator=(const Staging &) = delete;
	Staging(Staging &&) = default;

	const Fd &parent() const
	{
		return parent_;
	}
	const Fd &dir() const
	{
		return dir_;
	}
	std::string path() const
	{
		return parent_path_ + "/" + name_;
	}

	// Give it its own name, beside where it was made.
	void rename_to(const std::string &name, const std::string &what)
	{
		if (renameat2(parent_.get(), name_.c_str(), parent_.get(), name.c_str(),
			      RENAME_NOREPLACE))
			fail(errno, what);
		name_ = name;
		if (stat_of(parent_, name_, what).st_ino != inode_.st_ino)
			fail(what, "another user has replaced it");
	}

	// Remove it with these files in it. Returns false where something is left.
	bool remove(const std::vector<std::string> &files)
	{
		bool removed = true;
		int err = 0;

		for (const std::string &file : files)
			if (unlinkat(dir_.get(), file.c_str(), 0) && errno != ENOENT) {
				removed = false;
				err = errno;
			}
		if (removed)
			return unlinkat(parent_.get(), name_.c_str(), AT_REMOVEDIR) == 0;
		errno = err;
		return false;
	}

private:
	void open_made(const std::string &what)
	{
		dir_ = Fd(openat(parent_.get(), name_.c_str(),
				 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		if (!dir_ || fstat(dir_.get(), &inode_))
			fail(errno, what);
		// Whoever owns the directory around may have put another one there meanwhile.
		if (inode_.st_uid != geteuid() || inode_.st_mode & 022 || !is_empty(dir_, what))
			fail(what, "another user has replaced " + quote(path()));
	}

	std::string parent_path_;
	Fd parent_;
	std::string name_;
	Fd dir_;
	struct stat inode_ = {};
};

// What giving a pin away lacks, if it is a capability.
static std::string why_not_given(int err)
{
	std::string missing =
		err == EPERM ? missing_capabilities({CAP_CHOWN}, CountsFor::Owner) : "";

	return missing.empty() ? "" : ": needs " + missing;
}

// A pin in the staging directory, or moved from there to its place.
class StagedPin
{
public:
	StagedPin(const Pin &pin, const Staging &staging, const Access &access)
	    : staging_(staging), what_("pin " + quote(pin.path)), name_(name_of(pin.path)),
	      replace_(pin.replace)
	{
		pin_in(staging.dir(), name_, pin.object, what_);
		try {
			set_access(access);
		} catch (...) {
			unlinkat(staging.dir().get(), name_.c_str(), 0);
			throw;
		}
	}

	const std::string &name() const
	{
		return name_;
	}
	// What it has replaced, in the staging directory.
	std::string old_name() const
	{
		return name_ + "~old";
	}

	void move()
	{
		int from = staging_.dir().get();
		int to = staging_.parent().get();
		const char *name = name_.c_str();

		if (renameat2(from, name, to, name, RENAME_NOREPLACE) == 0) {
			state_ = State::Moved;
			return;
		}
		if (errno != EEXIST || !replace_)
			fail(errno, what_);
		if (renameat2(from, name, to, name, RENAME_EXCHANGE) == 0) {
			state_ = State::Exchanged;
			if (S_ISDIR(stat_of(staging_.dir(), name_, what_).st_mode))
				fail(EISDIR, what_);
			return;
		}
		// Before Linux 5.16 bpffs cannot exchange: a second name keeps the old pin.
		if (errno != EINVAL || linkat(to, name, from, old_name().c_str(), 0) ||
		    renameat(from, name, to, name))
			fail(errno, what_);
		state_ = State::Linked;
	}

	// Put back what was there. Another user's file that has come in its place stays.
	void undo()
	{
		int from = staging_.dir().get();
		int to = staging_.parent().get();
		const char *name = name_.c_str();
		bool ours = state_ != State::Staged && is_inode(staging_.parent(), name_, inode_);

		switch (state_) {
		case State::Staged:
			break;
		case State::Moved:
			if (ours)
				unlinkat(to, name, 0);
			break;
		case State::Exchanged:
			renameat2(from, name, to, name, ours ? RENAME_EXCHANGE : RENAME_NOREPLACE);
			break;
		case State::Linked:
			renameat2(from, old_name().c_str(), to, name, ours ? 0 : RENAME_NOREPLACE);
			break;
		}
		state_ = State::Staged;
	}

private:
	enum class State { Staged, Moved, Exchanged, Linked };

	void set_access(const Access &access)
	{
		int dir = staging_.dir().get();
		const char *name = name_.c_str();

		if (access.mode && fchmodat(dir, name, *access.mode, 0))
			fail(errno, what_, "set its mode");
		// -1 leaves an owner as it is.
		if ((access.uid || access.gid) &&
		    fchownat(dir, name, access.uid.value_or(-1), access.gid.value_or(-1),
			     AT_SYMLINK_NOFOLLOW))
			fail(errno, what_, "set its owner" + why_not_given(errno));
		inode_ = stat_of(staging_.dir(), name_, what_);
	}

	const Staging &staging_;
	std::string what_;
	std::string name_;
	bool replace_;
	struct stat inode_ = {};
	State state_ = State::Staged;
};

// Pins on their way to one directory: a new one, that comes into being with them, or one
// that is there.
class PinSet
{
public:
	PinSet(const std::string &dir, bool is_new)
	    : dir_(dir), what_((is_new ? "make directory " : "pin in ") + quote(dir)),
	      new_name_(is_new ? name_of(without_slashes(dir)) : ""),
	      staging_(is_new ? parent_of(without_slashes(dir)) : dir, what_)
	{
	}
	PinSet(const PinSet &) = delete;
	PinSet &operator=(const PinSet &) = delete;
	~PinSet()
	{
		std::vector<std::string> files;

		if (kept_)
			return;
		for (auto pin = pins_.rbegin(); pin != pins_.rend(); ++pin) {
			pin->undo();
			files.insert(files.end(), {pin->name(), pin->old_name()});
		}
		if (!staging_.remove(files))
			tell("warning: cannot remove " + quote(staging_.path()) + ": " +
			     strerror(errno));
	}

	void make(const Pin &pin, const Access &access)
	{
		pins_.emplace_back(pin, staging_, access);
	}
	void move()
	{
		if (!new_name_.empty()) {
			staging_.rename_to(new_name_, what_);
			return;
		}
		for (StagedPin &pin : pins_)
			pin.move();
	}
	// All is in place: from now on, nothing is undone. Returns false where something is left.
	bool keep()
	{
		std::vector<std::string> files;

		kept_ = true;
		if (!new_name_.empty())
			return true;
		for (const StagedPin &pin : pins_)
			files.insert(files.end(), {pin.name(), pin.old_name()});
		return staging_.remove(files);
	}
	std::string staging_path() const
	{
		return staging_.path();
	}

	const std::string &dir() const
	{
		return dir_;
	}

private:
	std::string dir_;
	std::string what_;
	std::string new_name_; // empty: it is there already
	Staging staging_;
	std::vector<StagedPin> pins_;
	bool kept_ = false;
};

void pin_all(const std::vector<Pin> &pins, const Access &access, const std::string &dir,
	     const std::function<void()> &report)
{
	bool new_dir = !dir.empty() && ::access(dir.c_str(), F_OK) != 0;
	SignalsHeld held;
	std::deque<PinSet> sets; // one for each directory

	for (const Pin &pin : pins)
		if (!new_dir || parent_of(pin.path) != dir)
			check_pin_path(pin.path, pin.replace);
	// The kernel makes one pin in one step, where it needs no more.
	if (pins.size() == 1 && !new_dir && !pins[0].replace && !access.mode && !access.uid &&
	    !access.gid && !report) {
		const std::string &path = pins[0].path;

		pin_in(open_place(path, false), name_of(path), pins[0].object,
		       "pin " + quote(path));
		return;
	}

	for (const Pin &pin : pins) {
		std::string parent = parent_of(pin.path);
		auto set = std::find_if(sets.begin(), sets.end(),
					[&](const PinSet &s) { return s.dir() == parent; });

		if (set == sets.end()) {
			sets.emplace_back(parent, new_dir && parent == dir);
			set = std::prev(sets.end());
		}
		set->make(pin, access);
	}
	for (PinSet &set : sets)
		set.move();
	if (report)
		report();

	std::string left;
	int err = 0;
	for (PinSet &set : sets)
		if (!set.keep()) {
			err = errno;
			left = set.staging_path();
		}
	if (err)
		fail(err, "remove " + quote(left), "but it is done: all pins are in place");
}
