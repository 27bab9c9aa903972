# What the flake and default.nix offer, without a nixpkgs behind them.
{ lib ? import ./lib.nix }:

let
  pkgs = {
    inherit lib;
    stdenv.hostPlatform.system = "x86_64-linux";
    callPackage = path: _: import path {
      inherit lib;
      rustPlatform.buildRustPackage = attrs: attrs;
      util-linux = "util-linux";
    };
    testers.runNixOSTest = test: test // { driver = "/driver"; };
    writeShellApplication = { name, text }: { outPath = "/demo"; meta.mainProgram = name; inherit text; };
    mkShell = attrs: attrs;
    writeText = name: _: "/${name}";
  } // lib.genAttrs [ "cargo" "clippy" "rustc" "rustfmt" "cargo-deny" "deadnix" "nixpkgs-fmt" ] (name: name);
  flake = (import ../../flake.nix).outputs {
    self = flake;
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: pkgs // { stdenv.hostPlatform = { inherit system; }; });
    };
  };
  plain = import ../../default.nix { inherit pkgs; };
  overlaid = flake.overlays.default pkgs { };
  names = title: attrs: "${title}: ${lib.concatStringsSep " " (lib.attrNames attrs)}\n";
in
lib.concatStrings [
  (names "flake" flake)
  (names "systems" flake.packages)
  (names "packages" flake.packages.aarch64-linux)
  (names "checks" flake.checks.x86_64-linux)
  (names "apps" flake.apps.x86_64-linux)
  "demo: ${flake.apps.x86_64-linux.demo.program}\n"
  (names "overlay" overlaid)
  (names "default.nix" plain)
  "package: ${plain.package.pname} ${plain.package.version}\n"
  plain.package.postInstall
]
