// The limits of the client, and whom it trusts beside the system's roots.

package struct WebClientConfiguration: Sendable {
    /// Seconds to a connection, TLS included. Default 5.
    package var connectTimeout: Double = 5
    /// Seconds without a byte of the answer. Default 10.
    package var readTimeout: Double = 10
    /// Seconds for a whole exchange, unless the request names its own. Default 15.
    package var totalTimeout: Double = 15
    /// Bytes of an answer's body. Default 4 MiB. Nothing is decompressed, so these are the bytes of the wire.
    package var responseLimit = 4 << 20
    /// Connections to one host at once; more requests wait for their turn. Default 16.
    package var connectionsPerHost = 16
    /// Certificates in PEM that are trusted beside the system's roots.
    package var trustRootsPEM: String?

    package init(trustRootsPEM: String? = nil) { self.trustRootsPEM = trustRootsPEM }
}
