// The port on which the browser brings back what a sign-in ended with. It is open for one sign-in, on 127.0.0.1 alone.

import NIOCore
import NIOHTTP1
import NIOPosix
import Sealing

final class LoopbackListener: Sendable {
    enum Callback: Sendable {
        case code(Secret<String>)
        case refused(error: String, detail: String?)
    }

    static let path = "/callback"

    private let channel: any Channel
    private let arrival: EventLoopPromise<Callback>

    let port: Int

    private init(channel: any Channel, arrival: EventLoopPromise<Callback>, port: Int) {
        self.channel = channel
        self.arrival = arrival
        self.port = port
    }

    /// - Parameter state: what the browser has to bring: nobody else knows it.
    static func open(state: String) async throws(CommandFailure) -> LoopbackListener {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let arrival = loop.makePromise(of: Callback.self)
        let bootstrap = ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withPipeliningAssistance: false)
                    try channel.pipeline.syncOperations.addHandler(Handler(state: state, arrival: arrival))
                }
            }
        do {
            let channel = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
            return LoopbackListener(channel: channel, arrival: arrival, port: channel.localAddress?.port ?? 0)
        } catch {
            arrival.fail(error)
            throw .failed("no port of 127.0.0.1 can be opened for the browser: \(error)")
        }
    }

    /// - Parameter seconds: then it fails.
    func callback(within seconds: Int) async throws(CommandFailure) -> Callback {
        let promise = arrival
        let deadline = promise.futureResult.eventLoop.scheduleTask(in: .seconds(Int64(seconds))) {
            promise.fail(TimedOut())
        }
        defer { deadline.cancel() }
        do {
            return try await promise.futureResult.get()
        } catch {
            throw .timedOut("nobody came back from the browser within \(seconds) s")
        }
    }

    func close() async {
        // A promise that nobody fulfils is a leak; one that was fulfilled takes no second value.
        arrival.fail(TimedOut())
        try? await channel.close()
    }

    private struct TimedOut: Error {}

    /// What a request line's target says: a callback of this sign-in, or nothing.
    static func read(_ target: String, state: String) -> Callback? {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == path else { return nil }
        var values: [String: String] = [:]
        for pair in parts[1].split(separator: "&") {
            let name = pair.prefix { $0 != "=" }
            guard let value = unescaped(pair.dropFirst(name.count + 1)), values[String(name)] == nil else { return nil }
            values[String(name)] = value
        }
        guard constantTimeEquals(Array((values["state"] ?? "").utf8), Array(state.utf8)) else { return nil }
        if let error = values["error"] { return .refused(error: error, detail: values["error_description"]) }
        guard let code = values["code"], !code.isEmpty else { return nil }
        return .code(Secret(code))
    }

    private static func unescaped(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                let digits = rest.prefix(2)
                guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                    return nil
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension LoopbackListener {
    /// Answers one request a connection.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let state: String
        private let arrival: EventLoopPromise<Callback>
        private var head: HTTPRequestHead?

        init(state: String, arrival: EventLoopPromise<Callback>) {
            self.state = state
            self.arrival = arrival
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body: break
            case .end:
                guard let head else { return context.close(promise: nil) }
                self.head = nil
                answer(head, context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
            let callback = head.method == .GET ? LoopbackListener.read(head.uri, state: state) : nil
            let (status, text): (HTTPResponseStatus, String) =
                switch callback {
                case nil: (.notFound, "This is not the answer that postern waits for.")
                case .code: (.ok, "Thank you. You can close this window and go back to the terminal.")
                case .refused: (.ok, "The sign-in was refused. The terminal says why.")
                }
            let headers: HTTPHeaders = [
                "Content-Type": "text/plain; charset=utf-8", "Content-Length": "\(text.utf8.count)",
                "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
                "Connection": "close",
            ]
            context.write(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))),
                promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
            // The browser has its page before the program goes on, and perhaps ends.
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.whenComplete { [arrival] _ in
                if let callback { arrival.succeed(callback) }
            }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
            written.futureResult.whenComplete { [channel = context.channel] _ in channel.close(promise: nil) }
        }
    }
}
