// An HTTP server in this process that answers as a test says, also in ways that no server should.

import NIOCore
import NIOHTTP1
import NIOPosix
package import NIOSSL
import Synchronization

/// A request as it came.
package struct WebServerRequest: Sendable {
    package let method: String
    package let target: String
    /// By lower-case name.
    package let fields: [String: [String]]
    package let body: [UInt8]

    package func field(_ name: String) -> String? { fields[name.lowercased()]?.first }
    package var line: String { "\(method) \(target)" }
    package var text: String { String(decoding: body, as: UTF8.self) }
}

package enum WebServerReply: Sendable {
    case answer(status: Int, fields: [(String, String)] = [], body: [UInt8] = [])
    /// A head, and then a byte every 20 milliseconds without end.
    case drip
    /// The head announces more than ever comes.
    case torn
    case hangUp
    case silence
    /// Whatever these bytes are.
    case raw(String)

    package static func json(_ text: String, status: Int = 200) -> WebServerReply {
        .answer(status: status, fields: [("Content-Type", "application/json")], body: Array(text.utf8))
    }
}

package final class ScriptedWebServer: Sendable {
    package typealias Script = @Sendable (WebServerRequest) -> WebServerReply

    private let channel: any Channel
    private let isTLS: Bool
    private let record: Record

    fileprivate final class Record: Sendable {
        let requests = Mutex<[WebServerRequest]>([])
        let connections = Atomic(0)
    }

    private init(_ channel: any Channel, _ record: Record, isTLS: Bool) {
        self.channel = channel
        self.record = record
        self.isTLS = isTLS
    }

    package var port: Int { channel.localAddress?.port ?? 0 }
    /// With TLS by name, because the certificate is for it.
    package var url: String { isTLS ? "https://localhost:\(port)" : "http://127.0.0.1:\(port)" }
    package var requests: [WebServerRequest] { record.requests.withLock { $0 } }
    package var connections: Int { record.connections.load(ordering: .relaxed) }

    /// Runs `body` with a server on a port of its own.
    package static func with<Result>(
        tls: NIOSSLContext? = nil,
        _ script: @escaping Script,
        _ body: (ScriptedWebServer) async throws -> Result
    ) async throws -> Result {
        let record = Record()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    record.connections.wrappingAdd(1, ordering: .relaxed)
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: false)
                    try pipeline.addHandler(Responder(record, script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            let result = try await body(ScriptedWebServer(channel, record, isTLS: tls != nil))
            try? await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    private final class Responder: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let record: Record
        private let script: Script
        private var head: HTTPRequestHead?
        private var body: [UInt8] = []

        init(_ record: Record, _ script: @escaping Script) {
            self.record = record
            self.script = script
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(let buffer): body += buffer.readableBytesView
            case .end:
                guard let head else { return }
                let request = WebServerRequest(
                    method: head.method.rawValue, target: head.uri,
                    fields: Dictionary(head.headers.map { ($0.name.lowercased(), [$0.value]) }, uniquingKeysWith: +),
                    body: body)
                self.head = nil
                body = []
                record.requests.withLock { $0.append(request) }
                reply(script(request), context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func reply(_ reply: WebServerReply, _ context: ChannelHandlerContext) {
            switch reply {
            case .answer(let status, let fields, let body):
                var headers = HTTPHeaders(fields)
                headers.add(name: "Content-Length", value: "\(body.count)")
                write(status, headers, context)
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            case .drip:
                write(200, [:], context)
                Self.drip(context.channel)
            case .torn:
                write(200, ["Content-Length": "100"], context)
                context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: "torn"))))).assumeIsolated()
                    .whenComplete { _ in context.close(promise: nil) }
            case .hangUp: context.close(promise: nil)
            case .silence: break
            case .raw(let text):
                let channel = context.channel
                context.pipeline.syncOperations.removeHandler(context: context).assumeIsolated().whenComplete { _ in
                    // Below the HTTP encoder, which would not let such bytes pass.
                    guard
                        let encoder = try? channel.pipeline.syncOperations.context(
                            handlerType: HTTPResponseEncoder.self)
                    else { return }
                    encoder.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
                }
            }
        }

        private func write(_ status: Int, _ headers: HTTPHeaders, _ context: ChannelHandlerContext) {
            let head = HTTPResponseHead(
                version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        }

        private static func drip(_ channel: any Channel) {
            channel.eventLoop.scheduleTask(in: .milliseconds(20)) {
                guard channel.isActive else { return }
                channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: "."))), promise: nil)
                drip(channel)
            }
        }
    }
}
