/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_AUTH_H
#define CHD_AUTH_H

/*
 * Who calls: credentials as the bus driver has them, asked for once per connection and never by a
 * blocking call. Counts per connection and per uid what is unanswered.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct Client Client;
typedef struct Clients Clients;
typedef struct Request Request;

typedef struct User {
        uint32_t uid;
        unsigned n_requests, n_jobs;
} User;

struct Client {
        Clients *clients;
        sd_bus *bus; /* the connection that it talks to us by */
        char *name;  /* unique name on the bus; of a peer without a bus: the connection's description */
        uint64_t key;
        unsigned n_refs;
        unsigned n_requests;
        int known, gone, asking;
        uint32_t uid;
        pid_t pid; /* 0: the bus did not say */
        Request *requests;               /* unanswered */
        Request *waiting, *waiting_last; /* for the credentials, in order of arrival */
        sd_bus_slot *slot;
};

int clients_new(Clients **ret);
Clients *clients_free(Clients *clients);
/* The connection is lost: nobody waits for an answer on it any more. */
void clients_drop_bus(Clients *clients, sd_bus *bus);
void clients_drop(Clients *clients, sd_bus *bus, const char *name);
/* Takes a reference. -ENOMEM. */
int clients_get(Clients *clients, sd_bus *bus, const char *name, Client **ret);
/* A peer that talks to us without a bus: who it is is known from its socket. Its connection must
 * have a description of its own; clients_drop_bus() when it goes. */
int clients_add_peer(Clients *clients, sd_bus *bus, uint32_t uid, pid_t pid);
/* Who sent a message: the sender on a bus; without one, which peer. */
const char *client_name_of(sd_bus_message *message);
Client *client_unref(Client *client);
/* request_resume() is called at once when the caller is known, else when the bus has answered. */
int client_identify(Client *client, Request *request);
size_t clients_count(const Clients *clients);
/* -ENOMEM */
int clients_get_user(Clients *clients, uint32_t uid, User **ret);
/* Who may do everything: root, and the uid that the daemon runs as. */
int uid_is_master(uint32_t uid);

#endif
