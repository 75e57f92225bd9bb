// What is known of a request beside the request itself.

package import Hummingbird
import NIOCore

package struct APIContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// Goes into the answer, the log and every problem document.
    var requestID: String
    /// The client's address without its port: the socket's, until the guard has looked at who is believed.
    var remoteAddress: String?

    package init(source: Source) {
        coreContext = .init(source: source)
        requestID = ""
        remoteAddress = source.channel.remoteAddress?.ipAddress
    }
}
