// SPDX-License-Identifier: MIT
#include "upstream/failure.h"

#include "base/check.h"
#include "base/error.h"

#include <curl/curl.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

int upstream_failure_of(int result, long os_error)
{
    DCHECK(result != CURLE_OK && os_error >= 0);
    switch ((CURLcode)result) {
    case CURLE_COULDNT_CONNECT:
        return os_error != 0 ? (int)-os_error : -ECONNREFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
        return UPSTREAM_NO_NAME;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return UPSTREAM_PROXY;
    case CURLE_URL_MALFORMAT:
        return UPSTREAM_BAD_URL;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return UPSTREAM_CERTIFICATE;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CLIENTCERT:
        return UPSTREAM_TLS;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_ABORTED_BY_CALLBACK: // a request that must not be sent again
        return -ECONNRESET;
    default:
        return -EPROTO;
    }
}

const char *upstream_code(int failure)
{
    static const struct {
        int failure;
        const char *code;
    } codes[] = {
        {UPSTREAM_BAD_URL, "EINVAL"},
        {UPSTREAM_PASSWORD, "EINVAL"},
        {UPSTREAM_NO_NAME, "ENOTFOUND"},
        {UPSTREAM_NAME_AGAIN, "EAI_AGAIN"},
        {UPSTREAM_CERTIFICATE, "ECERT"},
        {UPSTREAM_TLS, "ETLS"},
        {UPSTREAM_PROXY, "EPROXY"},
        {UPSTREAM_NOT_PUBLIC, "EPRIVATE"},
        {UPSTREAM_IN_KIT, "ENOTFOUND"},
        {-ECONNREFUSED, "ECONNREFUSED"},
        {-ECONNRESET, "ECONNRESET"},
        {-EPIPE, "ECONNRESET"},
        {-ETIMEDOUT, "ETIMEDOUT"},
        {-EHOSTUNREACH, "EHOSTUNREACH"},
        {-ENETUNREACH, "ENETUNREACH"},
        {-EADDRNOTAVAIL, "EADDRNOTAVAIL"},
        {-EACCES, "EACCES"},
        {-EPERM, "EACCES"},
        {-ENOENT, "ENOENT"},
        {-EMFILE, "EMFILE"},
        {-ENFILE, "EMFILE"},
        {-ENOMEM, "ENOMEM"},
        {-EAGAIN, "EAGAIN"},
        {-EMSGSIZE, "EMSGSIZE"},
        {-EPROTO, "EPROTO"},
    };
    DCHECK(failure < 0);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].failure == failure) {
            return codes[i].code;
        }
    }
    return "EIO";
}
