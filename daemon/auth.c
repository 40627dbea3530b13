/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Callers and their credentials, from the bus driver's GetConnectionCredentials. */

#include <stdio.h>

#include "auth.h"
#include "hash-string.h"
#include "request.h"
#include "util.h"

struct Clients {
        Hash by_name; /* hash of name and connection → Client; a collision is looked for by both */
        Hash users;   /* uid → User */
};

int uid_is_master(uint32_t uid)
{
        return uid == 0 || uid == geteuid();
}

int clients_new(Clients **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

static uint64_t key_of(sd_bus *bus, const char *name)
{
        return hash_string(name) ^ ((uint64_t)(uintptr_t)bus * 0x9e3779b97f4a7c15ULL);
}

static Client *find(Clients *clients, sd_bus *bus, const char *name)
{
        Client *client = hash_get(&clients->by_name, key_of(bus, name));

        return client && client->bus == bus && streq(client->name, name) ? client : NULL;
}

const char *client_name_of(sd_bus_message *message)
{
        sd_bus *bus = sd_bus_message_get_bus(message);
        const char *name = NULL;

        /* what a peer says of itself counts for nothing */
        if (sd_bus_is_bus_client(bus) > 0)
                return sd_bus_message_get_sender(message);
        (void)sd_bus_get_description(bus, &name);
        return name;
}

int clients_get(Clients *clients, sd_bus *bus, const char *name, Client **ret)
{
        Client *client = find(clients, bus, name);

        if (!client) {
                client = calloc(1, sizeof(*client));
                if (!client)
                        return -ENOMEM;
                client->name = strdup(name);
                client->bus = bus;
                client->clients = clients;
                client->key = key_of(bus, name);
                client->n_refs = 1; /* the table's */
                if (!client->name || hash_put(&clients->by_name, client->key, client) < 0) {
                        free(client->name);
                        free(client);
                        return -ENOMEM;
                }
        }
        client->n_refs++;
        *ret = client;
        return 0;
}

Client *client_unref(Client *client)
{
        if (!client || --client->n_refs > 0)
                return NULL;
        sd_bus_slot_unref(client->slot);
        free(client->name);
        free(client);
        return NULL;
}

static void resume_waiting(Client *client)
{
        Request *request;

        while ((request = client->waiting)) {
                client->waiting = request->waiting_next;
                if (!client->waiting)
                        client->waiting_last = NULL;
                request_resume(request, client->known, client->uid);
        }
}

static void drop(Clients *clients, Client *client)
{
        client->gone = 1;
        client->slot = sd_bus_slot_unref(client->slot);
        if (hash_get(&clients->by_name, client->key) == client)
                hash_remove(&clients->by_name, client->key);
        for (Request *request = client->requests; request; request = request->client_next)
                request_drop_message(request);
        resume_waiting(client);
        client_unref(client);
}

void clients_drop(Clients *clients, sd_bus *bus, const char *name)
{
        Client *client = find(clients, bus, name);

        if (client)
                drop(clients, client);
}

/* NULL: of all connections */
static void drop_bus(Clients *clients, sd_bus *bus)
{
        size_t position = 0;
        Client *client;

        while ((client = hash_next(&clients->by_name, &position))) {
                if (bus && client->bus != bus)
                        continue;
                drop(clients, client);
                position = 0;
        }
}

void clients_drop_bus(Clients *clients, sd_bus *bus)
{
        const char *name;

        /* a peer is alone on its connection */
        if (sd_bus_is_bus_client(bus) <= 0 && sd_bus_get_description(bus, &name) >= 0)
                clients_drop(clients, bus, name);
        else
                drop_bus(clients, bus);
}

int clients_add_peer(Clients *clients, sd_bus *bus, uint32_t uid, pid_t pid)
{
        const char *name;
        Client *client;
        int r;

        r = sd_bus_get_description(bus, &name);
        if (r >= 0)
                r = clients_get(clients, bus, name, &client);
        if (r < 0)
                return r;
        client->known = 1;
        client->uid = uid;
        client->pid = pid;
        client_unref(client);
        return 0;
}

Clients *clients_free(Clients *clients)
{
        size_t position = 0;
        User *user;

        if (!clients)
                return NULL;
        drop_bus(clients, NULL);
        while ((user = hash_next(&clients->users, &position)))
                free(user);
        hash_done(&clients->users);
        hash_done(&clients->by_name);
        free(clients);
        return NULL;
}

static int read_credentials(sd_bus_message *reply, Client *client)
{
        int r, found = 0;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read(reply, "s", &key);
                if (r >= 0 && streq(key, "UnixUserID")) {
                        r = sd_bus_message_read(reply, "v", "u", &client->uid);
                        found = r >= 0;
                } else if (r >= 0 && streq(key, "ProcessID")) {
                        uint32_t pid = 0;

                        r = sd_bus_message_read(reply, "v", "u", &pid);
                        client->pid = (pid_t)pid;
                } else if (r >= 0) {
                        r = sd_bus_message_skip(reply, "v");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : found ? 0 : -ENODATA;
}

static int on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Client *client = userdata;

        client->asking = 0;
        client->known = !sd_bus_message_is_method_error(reply, NULL) &&
                        read_credentials(reply, client) >= 0;
        client->n_refs++;
        resume_waiting(client);
        client->slot = sd_bus_slot_unref(client->slot);
        /* it has left, and that may have been told before its calls came */
        if (!client->known && !client->gone)
                drop(client->clients, client);
        client_unref(client);
        return 0;
}

int client_identify(Client *client, Request *request)
{
        int r;

        if (client->known && !client->waiting) {
                request_resume(request, 1, client->uid);
                return 0;
        }
        if (!client->asking) {
                r = sd_bus_call_method_async(client->bus, &client->slot, "org.freedesktop.DBus",
                                             "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                             "GetConnectionCredentials", on_credentials, client,
                                             "s", client->name);
                if (r < 0)
                        return r;
                client->asking = 1;
        }
        request->waiting_next = NULL;
        *(client->waiting_last ? &client->waiting_last->waiting_next : &client->waiting) = request;
        client->waiting_last = request;
        return 0;
}

size_t clients_count(const Clients *clients)
{
        return clients->by_name.n;
}

int clients_get_user(Clients *clients, uint32_t uid, User **ret)
{
        User *user = hash_get(&clients->users, uid);

        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return -ENOMEM;
                user->uid = uid;
                if (hash_put(&clients->users, uid, user) < 0) {
                        free(user);
                        return -ENOMEM;
                }
        }
        *ret = user;
        return 0;
}
