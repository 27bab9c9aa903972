# Without flakes: (import ./. { }).package, (import ./. { }).module, (import ./. { }).checks
{ pkgs ? import <nixpkgs> { } }:

{
  package = pkgs.callPackage ./nixos/package.nix { };
  module = ./nixos/module.nix;
  overlay = import ./nixos/overlay.nix;
  checks = import ./vm-tests/nixos { inherit pkgs; };
}
