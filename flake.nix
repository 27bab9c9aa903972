{
  description = "Brings an unattended NixOS host back by itself when a new generation does not boot";

  # There is no flake.lock: the machine this is developed on cannot reach nixpkgs. `nix flake lock` makes one, and any
  # nixpkgs of the last year will do.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      overlays.default = import ./nixos/overlay.nix;
      nixosModules.default = ./nixos/module.nix;

      packages = forEach (pkgs: rec {
        golden-generation = pkgs.callPackage ./nixos/package.nix { };
        default = golden-generation;
      });

      checks = forEach (pkgs:
        { package = self.packages.${pkgs.stdenv.hostPlatform.system}.default; } // import ./vm-tests/nixos { inherit pkgs; });

      apps = forEach (pkgs: rec {
        # The same story as `cargo xtask demo`, on a NixOS machine.
        demo = {
          type = "app";
          program = lib.getExe (pkgs.writeShellApplication {
            name = "golden-demo";
            text = ''exec ${(import ./vm-tests/nixos { inherit pkgs; }).two-failures-roll-back.driver}/bin/nixos-test-driver "$@"'';
          });
          meta.description = "Boot a broken generation in a virtual machine and watch it come back";
        };
        default = demo;
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [ cargo clippy rustc rustfmt cargo-deny deadnix nixpkgs-fmt ];
        };
      });
    };
}
