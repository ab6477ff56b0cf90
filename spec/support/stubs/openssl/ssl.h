/* What headers of ours name of OpenSSL: nothing is known of it but that it is there. */
#pragma once
typedef struct x509_st X509;
typedef struct X509_name_st X509_NAME;
typedef struct x509_store_st X509_STORE;
typedef struct evp_pkey_st EVP_PKEY;
#define STACK_OF(type) struct stack_st_##type
