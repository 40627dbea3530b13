/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_DBUS_SYSTEMD1_NAMES_H
#define CH_DBUS_SYSTEMD1_NAMES_H

/* Names that container runtimes know: of the face that speaks as org.freedesktop.systemd1. */

#define SD1_BUS_NAME          "org.freedesktop.systemd1"
#define SD1_PATH              "/org/freedesktop/systemd1"
#define SD1_UNIT_PREFIX       "/org/freedesktop/systemd1/unit"
#define SD1_JOB_PREFIX        "/org/freedesktop/systemd1/job"
#define SD1_MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define SD1_UNIT_INTERFACE    "org.freedesktop.systemd1.Unit"
#define SD1_SCOPE_INTERFACE   "org.freedesktop.systemd1.Scope"
#define SD1_SLICE_INTERFACE   "org.freedesktop.systemd1.Slice"
#define SD1_SERVICE_INTERFACE "org.freedesktop.systemd1.Service"
#define SD1_JOB_INTERFACE     "org.freedesktop.systemd1.Job"

/* Errors; clients compare these names, and some of the texts. */
#define SD1_ERROR_UNIT_EXISTS      SD1_BUS_NAME ".UnitExists"
#define SD1_ERROR_NO_SUCH_UNIT     SD1_BUS_NAME ".NoSuchUnit"
#define SD1_ERROR_NO_UNIT_FOR_PID  SD1_BUS_NAME ".NoUnitForPID"
#define SD1_ERROR_NO_UNIT_FOR_INVOCATION SD1_BUS_NAME ".NoUnitForInvocationID"
#define SD1_ERROR_NO_SUCH_PROCESS  SD1_BUS_NAME ".NoSuchProcess"
#define SD1_ERROR_NO_SUCH_JOB      SD1_BUS_NAME ".NoSuchJob"
#define SD1_ERROR_LOAD_FAILED      SD1_BUS_NAME ".LoadFailed"
#define SD1_ERROR_BAD_UNIT_SETTING SD1_BUS_NAME ".BadUnitSetting"
#define SD1_ERROR_JOB_TYPE         SD1_BUS_NAME ".JobTypeNotApplicable"
#define SD1_ERROR_DESTRUCTIVE      SD1_BUS_NAME ".TransactionIsDestructive"
#define SD1_ERROR_NOT_SUBSCRIBED   SD1_BUS_NAME ".NotSubscribed"
#define SD1_ERROR_SUBSCRIBED       SD1_BUS_NAME ".AlreadySubscribed"
#define SD1_ERROR_NOT_REFERENCED   SD1_BUS_NAME ".NotReferenced"
#define SD1_ERROR_SCOPE_NOT_RUNNING SD1_BUS_NAME ".ScopeNotRunning"
#define SD1_ERROR_UNIT_BUSY        SD1_BUS_NAME ".UnitBusy"
#define SD1_ERROR_UNIT_INACTIVE    SD1_BUS_NAME ".UnitInactive"
#define SD1_ERROR_SHUTTING_DOWN    SD1_BUS_NAME ".ShuttingDown"
/* of the bus itself */
#define SD1_ERROR_PID_UNKNOWN "org.freedesktop.DBus.Error.UnixProcessIdUnknown"
#define SD1_ERROR_READ_ONLY   "org.freedesktop.DBus.Error.PropertyReadOnly"

#endif
