// SPDX-License-Identifier: Apache-2.0
// What OpenSSL itself takes for the server's part of one login by EAP-TTLS or PEAP: a full handshake in memory, a record each way, the keys.
//
// bench-handshake CERTIFICATE KEY 1.2|1.3 SECONDS [RECORDS [AUTHORITY CERTIFICATE KEY]]
//   RECORDS: how many records the client sends after the handshake, each but the last answered by one; 1 is TTLS with PAP, 0 EAP-TLS.
//   AUTHORITY: of the client's certificate, which the server wants to see and verifies.
//
// Prints JSON. Both ends run on one thread; the processor time between the calls of the server's end is not counted.

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const char *what) {
    fprintf(stderr, "bench-handshake: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Carries what one end wrote to the other, as EAP does: through a buffer.
static void carry(SSL *from, SSL *to) {
    char buffer[16384];
    int count;
    while ((count = BIO_read(SSL_get_wbio(from), buffer, sizeof buffer)) > 0)
        if (BIO_write(SSL_get_rbio(to), buffer, count) != count) fail("no memory");
}

static SSL *session(SSL_CTX *context) {
    SSL *made = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!made || !in || !out) fail("no memory");
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(made, in, out);
    return made;
}

int main(int count, char **words) {
    if (count < 5) fail("usage: bench-handshake CERTIFICATE KEY 1.2|1.3 SECONDS [RECORDS [AUTHORITY CERTIFICATE KEY]]");
    int version = strcmp(words[3], "1.2") ? TLS1_3_VERSION : TLS1_2_VERSION;
    int records = count > 5 ? atoi(words[5]) : 1;
    SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = SSL_CTX_new(TLS_client_method());
    if (!server || !client) fail("no memory");
    SSL_CTX *both[] = {server, client};
    for (int index = 0; index < 2; index++) {
        SSL_CTX_set_min_proto_version(both[index], version);
        SSL_CTX_set_max_proto_version(both[index], version);
        SSL_CTX_set_options(both[index], SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(both[index], SSL_SESS_CACHE_OFF);
        SSL_CTX_set1_groups_list(both[index], "X25519:P-256");
        SSL_CTX_set_cipher_list(both[index], "ECDHE+AESGCM");
    }
    SSL_CTX_set_num_tickets(server, 0);
    if (SSL_CTX_use_certificate_chain_file(server, words[1]) != 1 || SSL_CTX_use_PrivateKey_file(server, words[2], SSL_FILETYPE_PEM) != 1)
        fail("certificate and key");
    SSL_CTX_set_verify(client, SSL_VERIFY_NONE, NULL);
    int mutual = count > 8;
    if (mutual) {
        SSL_CTX_set_verify(server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        if (SSL_CTX_load_verify_locations(server, words[6], NULL) != 1 || SSL_CTX_use_certificate_chain_file(client, words[7]) != 1
            || SSL_CTX_use_PrivateKey_file(client, words[8], SSL_FILETYPE_PEM) != 1)
            fail("the client's certificate");
    }
    const char *label = version != TLS1_2_VERSION ? "EXPORTER_EAP_TLS_Key_Material" : mutual ? "client EAP encryption" : "ttls keying material";
    unsigned char keys[128], type = mutual ? 13 : 21;
    char password[64] = {0}, heard[256];
    double end = seconds(CLOCK_MONOTONIC) + atof(words[4]), spent = 0;
    long logins = 0;
    while (seconds(CLOCK_MONOTONIC) < end) {
        SSL *device = session(client);
        SSL_set_connect_state(device);
        double began = seconds(CLOCK_THREAD_CPUTIME_ID);
        SSL *own = session(server);
        SSL_set_accept_state(own);
        spent += seconds(CLOCK_THREAD_CPUTIME_ID) - began;
        while (!SSL_is_init_finished(device) || !SSL_is_init_finished(own)) {
            SSL_do_handshake(device);
            carry(device, own);
            began = seconds(CLOCK_THREAD_CPUTIME_ID);
            int result = SSL_do_handshake(own);
            spent += seconds(CLOCK_THREAD_CPUTIME_ID) - began;
            if (result != 1 && SSL_get_error(own, result) != SSL_ERROR_WANT_READ) fail("handshake");
            carry(own, device);
        }
        for (int record = 0; record < records; record++) {
            if (SSL_write(device, password, sizeof password) <= 0) fail("client's record");
            carry(device, own);
            began = seconds(CLOCK_THREAD_CPUTIME_ID);
            if (SSL_read(own, heard, sizeof heard) <= 0) fail("record");
            if (record + 1 < records && SSL_write(own, password, sizeof password) <= 0) fail("answer");
            spent += seconds(CLOCK_THREAD_CPUTIME_ID) - began;
            carry(own, device);
            if (record + 1 < records && SSL_read(device, heard, sizeof heard) <= 0) fail("server's record");
        }
        began = seconds(CLOCK_THREAD_CPUTIME_ID);
        if (SSL_export_keying_material(own, keys, sizeof keys, label, strlen(label), &type, 1, version != TLS1_2_VERSION) != 1)
            fail("keys");
        SSL_free(own);
        spent += seconds(CLOCK_THREAD_CPUTIME_ID) - began;
        SSL_free(device);
        logins++;
    }
    printf("{\"logins\": %ld, \"microseconds\": %.1f, \"openssl\": \"%s\"}\n", logins, spent / (double)logins * 1e6, OpenSSL_version(OPENSSL_VERSION));
    return 0;
}
