/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHARGEHAND_DBUS_NAMES_H
#define CHARGEHAND_DBUS_NAMES_H

/* The names of the bus interface that daemon and client share; the contract itself is the XML beside it. */

#define CH_BUS_NAME             "org.chargehand1"
#define CH_BUS_PATH             "/org/chargehand1"
#define CH_BUS_GROUP_PREFIX     "/org/chargehand1/group" /* + "/" + sd_bus_path_encode() of the group path */
#define CH_BUS_JOB_PREFIX       "/org/chargehand1/job"   /* + "/" + job number */

#define CH_BUS_MANAGER_INTERFACE "org.chargehand1.Manager"
#define CH_BUS_GROUP_INTERFACE   "org.chargehand1.Group"
#define CH_BUS_JOB_INTERFACE     "org.chargehand1.Job"

#define CH_BUS_ERROR_PREFIX     "org.chargehand1.Error." /* + the word of include/chargehand/error.h */

/* Flags of a row of Manager.ListGroups(). */
enum {
        CH_LIST_MANAGED   = 1 << 0, /* made or adopted by Chargehand */
        CH_LIST_POPULATED = 1 << 1, /* processes in it or below */
        CH_LIST_FROZEN    = 1 << 2,
        CH_LIST_CHILDREN  = 1 << 3, /* has groups below */
};

/*   id            word (Job.State, JobRemoved)  end?  what it means */
#define CH_JOB_STATES(X)                                                                           \
        X(WAITING,     "waiting",     0, "queued behind other jobs")                               \
        X(RUNNING,     "running",     0, "at work")                                                \
        X(CANCELLING,  "cancelling",  0, "was asked to end; undoing what it did")                  \
        X(FINISHED,    "finished",    1, "done as planned")                                        \
        X(PARTLY_DONE, "partly done", 1, "some of it was done; Result says which part")            \
        X(ROLLED_BACK, "rolled back", 1, "failed in the middle and was undone")                    \
        X(CANCELLED,   "cancelled",   1, "was cancelled; undone where the policy says so")         \
        X(FAILED,      "failed",      1, "failed; Result says why and what is left")

#endif
