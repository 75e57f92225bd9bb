// A self-signed certificate for localhost and its key, trusted by nobody but the tests that name it as a root. Valid until
// 2126.

package import NIOSSL

package enum WebTestCertificate {
    package static func serverContext() throws -> NIOSSLContext {
        let certificate = try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(privateKey.utf8), format: .pem)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: certificate.map { .certificate($0) }, privateKey: .privateKey(key)))
    }

    package static let pem = """
        -----BEGIN CERTIFICATE-----
        MIIBnDCCAUGgAwIBAgIUcmyWzPofvvMYvBx+xufCJ5G5b+wwCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDE4NDAzOVoYDzIxMjYxMDI3
        MTg0MDM5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAASxNisavLvSWDlAOcqK3dDL8w/Quw1c63H9p3/7sZIRmwCbNTJHCT5Q
        e194hOz9f1zFciN79DZL45TtgcsGgJWao28wbTAdBgNVHQ4EFgQU3gDGPN/PpUVi
        /WNXn9Ng3vP9Y7YwHwYDVR0jBBgwFoAU3gDGPN/PpUVi/WNXn9Ng3vP9Y7YwGgYD
        VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
        zj0EAwIDSQAwRgIhAPrUKWoT4DcG3UoD1pBNFZA3/0BG7OSm1aScr6G/4vW4AiEA
        k+ISeESqTh7b1XNEq+cjJvxu60QyOvPV1wMUs7C8kyk=
        -----END CERTIFICATE-----
        """

    private static let privateKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguYRsHhlCtvVz6aoX
        W1PXtmsmT9F2ntpzkxD2gf71jcmhRANCAASxNisavLvSWDlAOcqK3dDL8w/Quw1c
        63H9p3/7sZIRmwCbNTJHCT5Qe194hOz9f1zFciN79DZL45TtgcsGgJWa
        -----END PRIVATE KEY-----
        """
}
