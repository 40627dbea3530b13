/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_ERROR_H
#define CHARGEHAND_ERROR_H

/*
 * Errors that a person can act on: a kind, an errno, the path or value concerned, and a cause with
 * the way out. One table serves the library, the D-Bus error names and the exit codes of chargectl.
 *
 * Doctrine: every function of libchargehand returns >= 0 or a negative errno. Functions that touch
 * the kernel also take a `ch_error **err`, which may be NULL; it is set only on failure, and only if
 * *err is NULL (the first error wins). The caller frees it.
 */

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ch_error ch_error;

/*
 *   id               bus name (org.chargehand1.Error.*)  errno  exit  what it means
 */
#define CH_ERROR_KINDS(X)                                                                          \
        X(FAILED,           "Failed",            EIO,        1, "the kernel refused; see the cause") \
        X(NO_MEMORY,        "NoMemory",          ENOMEM,     1, "the daemon itself is out of memory") \
        X(BAD_PATH,         "BadPath",           EINVAL,     2, "not a group path")                 \
        X(BAD_VALUE,        "BadValue",          ERANGE,     2, "a value out of range or unreadable") \
        X(UNKNOWN_ATTRIBUTE,"UnknownAttribute",  ENOENT,     2, "no attribute of that name")        \
        X(READ_ONLY,        "ReadOnly",          EROFS,      1, "the attribute or file system cannot be written") \
        X(NO_SUCH_GROUP,    "NoSuchGroup",       ENODEV,     4, "no group at that path, or it is gone") \
        X(GROUP_EXISTS,     "GroupExists",       EEXIST,     1, "a group is there already")         \
        X(NOT_EMPTY,        "NotEmpty",          EBUSY,      1, "processes or groups are left in the group") \
        X(NO_SUCH_PROCESS,  "NoSuchProcess",     ESRCH,      3, "no process has that pid")          \
        X(BAD_PROCESS,      "BadProcess",        EPERM,      1, "a kernel thread, pid 0 or 1, or a zombie: cannot be moved") \
        X(BAD_TARGET,       "BadTarget",         EBUSY,      1, "the target cannot take processes") \
        X(FOREIGN,          "Foreign",           EPERM,      5, "the group belongs to someone else") \
        X(NO_ROOM,          "NoRoom",            ENOSPC,     1, "a limit along the target's ancestors leaves no room") \
        X(CONTROLLER_OFF,   "ControllerOff",     EOPNOTSUPP, 1, "the controller is not enabled for this group") \
        X(NOT_SUPPORTED,    "NotSupported",      ENOTSUP,    1, "the kernel lacks something that is needed") \
        X(NOT_PERMITTED,    "NotPermitted",      EACCES,     5, "the caller may not do this")       \
        X(PARTLY_DONE,      "PartlyDone",        EINTR,      6, "some of it was done; the result says which part") \
        X(ROLLED_BACK,      "RolledBack",        ECANCELED,  1, "it failed in the middle and was undone") \
        X(CANCELLED,        "Cancelled",         ECANCELED,  1, "someone cancelled the job")        \
        X(TIMED_OUT,        "TimedOut",          ETIMEDOUT,  75, "the time given ran out")          \
        X(BUSY,             "Busy",              EAGAIN,     75, "another job works on this: try again") \
        X(LIMIT_REACHED,    "LimitReached",      EDQUOT,     75, "a client holds too many of something") \
        X(NO_SUCH_JOB,      "NoSuchJob",         ENOENT,     3, "no job of that number")            \
        X(NO_PROGRAM,       "NoProgram",         ENOENT,   127, "there is no such program to start") \
        X(BAD_PROGRAM,      "BadProgram",        ENOEXEC,  126, "the program is there, but cannot be executed") \
        X(NO_SUCH_CLAIM,    "NoSuchClaim",       ENOENT,     3, "no such claim: the lease was released, or is none")

typedef enum ch_error_kind {
#define CH_ERROR_ENUM_(id, name, errnum, exit_code, doc) CH_ERROR_##id,
        CH_ERROR_KINDS(CH_ERROR_ENUM_)
#undef CH_ERROR_ENUM_
        CH_ERROR_KIND_MAX_
} ch_error_kind;

/* None of these blocks or fails; a NULL error reads as FAILED, EIO, "" and "". Strings live as long
 * as the error. */
ch_error_kind ch_error_get_kind(const ch_error *error);
int ch_error_get_errno(const ch_error *error);        /* positive errno */
const char *ch_error_get_path(const ch_error *error); /* what it is about: a group, file, pid; "" if none */
const char *ch_error_get_cause(const ch_error *error);/* a sentence: what is wrong and the way out */
void ch_error_free(ch_error *error);

/* The words of the table: "NoSuchGroup" and the exit code of chargectl. `from_name` takes the bare
 * word or the full D-Bus name; an unknown one is -ENOENT. */
const char *ch_error_kind_to_name(ch_error_kind kind);
int ch_error_kind_to_exit(ch_error_kind kind);
int ch_error_kind_from_name(const char *name, ch_error_kind *ret);

#ifdef __cplusplus
}
#endif
#endif
