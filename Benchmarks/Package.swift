// swift-tools-version: 6.2
// The benchmarks stand apart from the server, so that neither waits for the other to build. This package is the load
// client: it needs nothing but libc and builds in seconds. The bare HTTP handler, which needs NIO, is BareHandler/.

import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "postern-benchmarks",
    products: [.executable(name: "postern-load", targets: ["postern-load"])],
    targets: [
        .systemLibrary(name: "CEpoll"),
        .target(name: "Load", dependencies: ["CEpoll"], swiftSettings: settings),
        .executableTarget(name: "postern-load", dependencies: ["Load"], swiftSettings: settings),
        .testTarget(name: "LoadTests", dependencies: ["Load"], swiftSettings: settings),
    ]
)
