// `bare-http-commit PORT DATABASE`: serves until it is killed; prints {"port":N} when it listens.

import NIOCore
import NIOHTTP1
import NIOPosix

@main
enum BareHTTPCommit {
    static func main() throws {
        guard CommandLine.arguments.count == 3, let port = Int(CommandLine.arguments[1]) else {
            print("usage: bare-http-commit PORT DATABASE")
            return
        }
        let commits = GroupCommit(log: try Log.open(path: CommandLine.arguments[2]))
        let server = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(commits: commits))
                }
            }
            .bind(host: "127.0.0.1", port: port)
            .wait()
        print("{\"port\":\(port)}")
        try server.closeFuture.wait()
    }
}
