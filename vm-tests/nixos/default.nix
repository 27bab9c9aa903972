# Claims on a real NixOS, one a file, found by their names. `nix flake check` runs them; so does
# nix-build -A checks.good-switch-is-confirmed
{ pkgs }:

let
  inherit (pkgs) lib;
  isClaim = name: lib.hasSuffix ".nix" name && !(lib.elem name [ "default.nix" "grub.nix" "machine.nix" ]);
  claims = lib.filter isClaim (lib.attrNames (builtins.readDir ./.));
  nameOf = file: lib.removeSuffix ".nix" file;

  test = file:
    let
      claim = import (./. + "/${file}") { inherit lib pkgs; };
    in
    pkgs.testers.runNixOSTest {
      name = "golden-${nameOf file}";
      nodes.machine.imports = [ ./machine.nix (claim.machine or { }) ];
      globalTimeout = claim.timeoutSecs;
      testScript = builtins.readFile ./story.py + claim.script;
    };
in
lib.listToAttrs (map (file: lib.nameValuePair (nameOf file) (test file)) claims)
