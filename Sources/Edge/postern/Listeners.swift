// The doors as services: they name the port that cannot be opened, say where they are, and close at the same time.

import Glibc
import NIOCore
import SMTPServer
import ServiceLifecycle

/// A listening service whose failure names the port that could not be opened.
struct Listener<Base: Service>: Service {
    let name: String
    let port: Int
    let service: Base

    func run() async throws {
        do {
            try await service.run()
        } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            throw StartError(description: "\(name) \(port) cannot be opened: \(reason)")
        }
    }
}

/// Services that start and stop at the same time: a shutdown has no time for one after the other.
struct SideBySide: Service {
    let services: [any Service]

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in services { group.addTask { try await service.run() } }
            try await group.waitForAll()
        }
    }
}

/// An SMTP server that says where it listens.
struct SMTPListener: Service {
    let server: SMTPServer
    let onBound: @Sendable (Int) -> Void

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            if let port = try? await server.boundPort { onBound(port) }
            try await group.waitForAll()
        }
    }
}
