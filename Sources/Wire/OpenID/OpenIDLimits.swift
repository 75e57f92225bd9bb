// What a provider may make us do at most, and how long its words hold.

package struct OpenIDLimits: Sendable {
    /// Bytes of a discovery document, a set of keys, a token's answer or the answer of the userinfo endpoint. Default 256 KiB;
    /// the web client's own limit holds beside it.
    package var documentBytes = 256 << 10
    /// Bytes of an ID token. Default 64 KiB: people in hundreds of groups fit in.
    package var tokenBytes = 64 << 10
    /// Keys of a set that are looked at. Default 64.
    package var keys = 64
    /// Seconds by which two clocks may differ. Default 60.
    package var leeway: Int64 = 60
    /// Seconds for which what the provider says of itself, and its keys, are remembered. Default 3600.
    package var lifetime: Int64 = 3600
    /// Seconds for which they are used beyond that while the provider cannot be reached. Default 86,400.
    package var grace: Int64 = 86_400
    /// Seconds between two readings of the keys because a token names one that is not known. Default 60.
    package var keyInterval: Int64 = 60
    /// Seconds between two tries to reach a provider that could not be reached. Default 2.
    package var retryInterval: Int64 = 2

    package init() {}
}
