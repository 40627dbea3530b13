/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes messages over a bus that nobody is at. */

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "systemd1-call.h"
#include "util.h"

struct Call {
        sd_bus *bus;
        int peer;
        sd_bus_message *message, *reply;
        sd_bus_error error;
        char text[1024];
};

static void good(int r)
{
        if (r < 0)
                fail_msg("%s", strerror(-r));
}

static sd_bus_message *new_message(Call *call)
{
        sd_bus_message *message;

        good(sd_bus_message_new_method_call(call->bus, &message, NULL, "/", "a.b", "C"));
        return message;
}

Call *call_new(void)
{
        Call *call = calloc(1, sizeof(*call));
        int pair[2];

        assert_non_null(call);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        call->peer = pair[1];
        good(sd_bus_new(&call->bus));
        good(sd_bus_set_fd(call->bus, pair[0], pair[0]));
        good(sd_bus_set_bus_client(call->bus, 1));
        good(sd_bus_negotiate_fds(call->bus, 1));
        good(sd_bus_start(call->bus));
        call->message = new_message(call);
        good(sd_bus_message_open_container(call->message, 'a', "(sv)"));
        return call;
}

Call *call_free(Call *call)
{
        if (!call)
                return NULL;
        sd_bus_error_free(&call->error);
        sd_bus_message_unref(call->message);
        sd_bus_message_unref(call->reply);
        sd_bus_close_unref(call->bus);
        (void)safe_close(call->peer);
        free(call);
        return NULL;
}

static void open_property(Call *call, const char *name, const char *signature)
{
        good(sd_bus_message_open_container(call->message, 'r', "sv"));
        good(sd_bus_message_append(call->message, "s", name));
        good(sd_bus_message_open_container(call->message, 'v', signature));
}

static void close_property(Call *call)
{
        good(sd_bus_message_close_container(call->message));
        good(sd_bus_message_close_container(call->message));
}

void call_addv(Call *call, const char *name, const char *signature, va_list ap)
{
        open_property(call, name, signature);
        good(sd_bus_message_appendv(call->message, signature, ap));
        close_property(call);
}

void call_add(Call *call, const char *name, const char *signature, ...)
{
        va_list ap;

        va_start(ap, signature);
        call_addv(call, name, signature, ap);
        va_end(ap);
}

void call_add_bytes(Call *call, const char *name, const void *bytes, size_t size)
{
        open_property(call, name, "ay");
        good(sd_bus_message_append_array(call->message, 'y', bytes, size));
        close_property(call);
}

sd_bus_message *call_message(Call *call)
{
        good(sd_bus_message_close_container(call->message));
        good(sd_bus_message_seal(call->message, 1, 0));
        good(sd_bus_message_rewind(call->message, 1));
        return call->message;
}

int call_read(Call *call, UnitKind kind, int is_new, PropertyChanges *ret)
{
        return property_changes_read(call_message(call), kind, is_new, getppid(), ret,
                                     &call->error);
}

const char *call_error(Call *call)
{
        if (!sd_bus_error_is_set(&call->error))
                return "";
        (void)snprintf(call->text, sizeof(call->text), "%s: %s", call->error.name,
                       call->error.message);
        return call->text;
}

sd_bus_message *call_reply(Call *call)
{
        sd_bus_message_unref(call->reply);
        call->reply = new_message(call);
        return call->reply;
}

sd_bus_message *call_reply_read(Call *call)
{
        good(sd_bus_message_seal(call->reply, 1, 0));
        good(sd_bus_message_rewind(call->reply, 1));
        return call->reply;
}

void assert_writes(const PropertySet *set, const PropertySet *changes, const char *expected)
{
        _cleanup_(writes_donep) FileWrites writes = { 0 };
        char text[2048] = "";

        assert_int_equal(property_file_writes(set, changes, &writes), 0);
        for (size_t i = 0; i < writes.n; i++)
                (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s=%s",
                               i ? "; " : "",
                               writes.items[i].xattr ? writes.items[i].xattr : writes.items[i].attr->file,
                               writes.items[i].text ? writes.items[i].text : "none");
        assert_string_equal(text, expected);
}

void assert_set(Call *call, PropertySet *set, const char *writes)
{
        _cleanup_(changes_donep) PropertyChanges changes = { 0 };

        if (call_read(call, UNIT_SCOPE, 0, &changes) < 0)
                fail_msg("refused: %s", call_error(call));
        assert_int_equal(property_set_merge(set, &changes), 0);
        assert_writes(set, &changes.set, writes);
}

void assert_refused(Call *call, UnitKind kind, int is_new, const char *error)
{
        PropertyChanges changes = { 0 };

        assert_true(call_read(call, kind, is_new, &changes) < 0);
        assert_string_equal(call_error(call), error);
        assert_int_equal(changes.set.n, 0);
        assert_null(changes.pids);
}

void call_add_rare(Call *call)
{
        call_add(call, "Conditions", "a(sbbs)", 2, "ConditionPathExists", 0, 1, "/etc", "ConditionHost", 1,
                 0, "a b");
        call_add(call, "Asserts", "a(sbbs)", 0);
        call_add(call, "IPAddressAllow", "a(iayu)", 1, 2, 4, 10, 0, 0, 1, 8);
        call_add(call, "IPAddressDeny", "a(iayu)", 0);
        call_add(call, "SocketBindAllow", "a(iiqq)", 2, 0, 0, 0, 0, 2, 6, 1, 80);
        call_add(call, "RestrictNetworkInterfaces", "(bas)", 1, 2, "lo", "eth0");
        call_add(call, "NFTSet", "a(iiss)", 1, 1, 1, "filter", "a_set");
        call_add(call, "Documentation", "as", 2, "man:a(1)", "http://b c%");
        call_add(call, "BPFProgram", "a(ss)", 1, "device", "/sys/fs/bpf/x");
        call_add(call, "IODeviceLatencyTargetUSec", "a(st)", 1, "7:250", UINT64_C(9));
        call_add(call, "AllowedCPUs", "ay", 2, 0x0f, 0x00);
        call_add(call, "KillSignal", "i", 13);
        call_add(call, "FailureActionExitStatus", "i", -1);
        call_add(call, "Description", "s", "two\nlines 100%");
        call_add(call, "Delegate", "b", 1);
        call_add(call, "SendSIGKILL", "b", 0);
        call_add(call, "MemoryMax", "t", UINT64_MAX);
}
